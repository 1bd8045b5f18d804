//! Starting everything, and the one loop.
