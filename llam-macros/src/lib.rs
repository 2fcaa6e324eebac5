//! The procedural macros behind `llam`: `#[llam::main]`, `#[llam::test]`, `spawn!`, `select!`.
//!
//! Owns the parsing of those forms and their error messages; each message points at the token it is
//! about. Invariant: what is generated calls safe functions only, so it compiles in crates that
//! forbid unsafe code. Called by the crate `llam`, which documents the macros and re-exports them;
//! nobody else should depend on this crate.
//!
//! ```text
//!   #[llam::main]     entry.rs ──> fn main() -> ExitCode { llam::__private::main(profile, body) }
//!   llam::spawn!      spawn.rs ──> llam::task::spawn_with(options, move || body)
//!   llam::select!     select.rs ─> arms on the caller's stack, one call, one match
//! ```

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod entry;
mod select;
mod spawn;

/// Runs the function as the first task of a runtime. See `llam::main`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(arguments.into(), item.into(), entry::Kind::Main).into()
}

/// A unit test whose body runs as the first task of a runtime. See `llam::test`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(arguments.into(), item.into(), entry::Kind::Test).into()
}

/// The expansion of `llam::spawn!`; the first token is the path of the crate `llam`.
#[proc_macro]
pub fn spawn(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as spawn::Spawn);
    call.expand(false).into()
}

/// The expansion of `llam::try_spawn!`; the first token is the path of the crate `llam`.
#[proc_macro]
pub fn try_spawn(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as spawn::Spawn);
    call.expand(true).into()
}

/// The expansion of `llam::select!`; the first token is the path of the crate `llam`.
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as select::Select);
    call.expand(false).into()
}

/// The expansion of `llam::try_select!`; the first token is the path of the crate `llam`.
#[proc_macro]
pub fn try_select(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as select::Select);
    call.expand(true).into()
}
