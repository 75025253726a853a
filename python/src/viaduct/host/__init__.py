"""What joins a process to its hub on one machine: runtime folder, credentials, inherited links."""
