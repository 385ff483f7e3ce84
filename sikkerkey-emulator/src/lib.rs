//! The SikkerKey service on one machine, for trying, developing and testing.
