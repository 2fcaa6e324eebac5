//! End-to-end tests: the real program, against its own server and against servers that cheat.

mod broken;
mod cheat;
mod compare;
mod program;
mod runs;
