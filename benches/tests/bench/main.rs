//! End-to-end tests: the real program, against its own server and against servers that cheat.

mod broken;
mod chat_cheat;
mod cheat;
mod compare;
mod fanout;
mod http;
mod program;
mod runs;
mod serve;
mod sweep;
mod terminal;
mod wire;
