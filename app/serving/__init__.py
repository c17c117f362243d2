"""What stands between the network and the pages: headers, limits, health, logs, status."""
