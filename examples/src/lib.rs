//! Programs to read and run; each is a file of its own beside this one.
