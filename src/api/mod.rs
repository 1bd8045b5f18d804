//! Who asks, and who looks: HTTP on the Unix socket (may act) and on TCP (may look).
