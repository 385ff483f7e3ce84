//! Tests that fork. They are a package of their own, because `fork` takes unsafe code, which the
//! workspace forbids; and one test a file, because a child has only the thread that forked.
