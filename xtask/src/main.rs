//! The chores of this workspace: `cargo xtask <command>`.
//!
//! Owns the command line; each command is a module of its own.

mod bindings;
mod instructions;
mod rivals;
mod sdk;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  sdk --prefix DIR [--only-1.0]   lay out the engine as a C SDK below DIR
  bindings [--check]              regenerate the Rust bindings from the headers, or check that
                                  headers, bindings, engine and exported symbols agree
  instructions [--check|--update] [--only ROW]... [--allow-missing]
                                  count instructions per operation under valgrind, and compare them
                                  with benches/instructions.json, or write that file
  rivals [--only NAME]...         build what llam is measured against, as far as this machine
                                  allows, and list it in target/rivals/rivals.json
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let result = match arguments.first().map(String::as_str) {
        Some("sdk") => sdk::main(&arguments[1..]),
        Some("bindings") => bindings::main(&arguments[1..]),
        Some("instructions") => instructions::main(&arguments[1..]),
        Some("rivals") => rivals::main(&arguments[1..]),
        Some("help") => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("there is no command `{other}`\n\n{USAGE}")),
        None => Err(format!("a command is missing\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
