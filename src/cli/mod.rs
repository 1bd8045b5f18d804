//! One file a command: arguments, talking to the daemon over its socket, printing.
