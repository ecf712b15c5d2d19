"""The command line: parse, call, show progress, return an exit code; no arithmetic."""
