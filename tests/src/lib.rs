//! What crosses the crates of this workspace is tested in `tests/` beside this file.
