//! The parts of a server that are the same whatever framework it uses.
//!
//! A server is started with `--listen ADDRESS --workers N`, prints one line that ends in
//! ` listening on ADDRESS`, and ends with 0 on SIGTERM or SIGINT. Called by each server's `main`.

use lexopt::{Arg, Parser, ValueExt};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;
use socket2::{Domain, Protocol, Socket, Type};
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const USAGE: &str = "\
options: [--listen ADDRESS] [--workers N] [FLAG]... [--NAME VALUE]...

  --listen ADDRESS  address and port, port 0 lets the system choose (default 127.0.0.1:0)
  --workers N       threads that serve, 1 to 1024 (default 1)
";

/// Connections that wait to be accepted: more than a load opens at once. The kernel caps it at
/// `net.core.somaxconn`, 4096 by default.
const BACKLOG: i32 = 4096;

pub const MAX_WORKERS: usize = 1024;

/// Bytes of the buffer of an echo connection, in all echo servers.
pub const ECHO_BUFFER_BYTES: usize = 4096;

/// The body of an HTTP answer.
pub const BODY: &str = "Hello, World!";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub address: SocketAddr,
    pub workers: usize,
    /// Those of the program's own flags that were given, without the dashes.
    flags: Vec<String>,
    /// The program's own options and their values.
    options: Vec<(String, String)>,
}

impl Arguments {
    /// Of this process. `flags` and `options` are the program's own. A bad command line ends the
    /// process with 2.
    pub fn parse(flags: &[&str], options: &[&str]) -> Self {
        Self::from(std::env::args_os().skip(1).collect(), flags, options).unwrap_or_else(|error| {
            eprintln!("error: {error}\n{USAGE}");
            std::process::exit(2)
        })
    }

    fn from(words: Vec<OsString>, flags: &[&str], options: &[&str]) -> Result<Self, lexopt::Error> {
        let mut parser = Parser::from_args(words);
        let mut parsed = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            flags: Vec::new(),
            options: Vec::new(),
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("listen") => parsed.address = parser.value()?.parse()?,
                Arg::Long("workers") => parsed.workers = parser.value()?.parse()?,
                Arg::Long(name) if flags.contains(&name) => parsed.flags.push(name.to_owned()),
                Arg::Long(name) if options.contains(&name) => {
                    let name = name.to_owned();
                    parsed.options.push((name, parser.value()?.string()?));
                }
                other => return Err(other.unexpected()),
            }
        }
        if !(1..=MAX_WORKERS).contains(&parsed.workers) {
            return Err(format!("--workers is not from 1 to {MAX_WORKERS}").into());
        }
        Ok(parsed)
    }

    pub fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// The value of an option of the program's own, the last one if it was given twice.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter().rev();
        options
            .find(|(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A listening socket in blocking mode.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    socket(address, false)
}

/// Takes an address for a server that must be told a port and cannot say which it got. The socket does not
/// listen, so it gets no connections; as long as it is there, only sockets that share the port as it does
/// can bind it.
pub fn reserve(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = new_socket(address, true)?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?;
    let address = address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

/// One listening socket per worker on the same address; the kernel spreads the connections. For
/// frameworks whose threads share nothing.
pub fn listen_shared(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = socket(address, workers > 1)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(socket(address, true)?);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = new_socket(address, is_shared)?;
    // Also while connections of an earlier server are in their last wait.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn new_socket(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

/// Lets SIGTERM and SIGINT end the process with 0, from the signal handler itself: no thread and no
/// task of the measured framework is needed for it.
pub fn end_on_signal() -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGTERM, SIGINT] {
        register_conditional_shutdown(signal, 0, always.clone())?;
    }
    Ok(())
}

/// The first line on standard output.
pub fn announce(name: &str, address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{name} listening on {address}")?;
    stdout.flush()
}

/// [`end_on_signal`], [`listen`] and [`announce`] in one, for servers with one listener.
pub fn start(name: &str, arguments: &Arguments) -> io::Result<TcpListener> {
    end_on_signal()?;
    let listener = listen(arguments.address)?;
    announce(name, listener.local_addr()?)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, lexopt::Error> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        Arguments::from(words, &["legacy"], &["mode"])
    }

    #[test]
    fn defaults_options_and_flags() {
        let defaults = parsed(&[]).unwrap();
        assert_eq!(defaults.address, "127.0.0.1:0".parse().unwrap());
        assert_eq!(defaults.workers, 1);
        assert!(!defaults.has_flag("legacy"));
        let words = ["--mode", "a", "--listen", "[::1]:7", "--workers", "3"];
        let given = parsed(&[&words[..], &["--legacy", "--mode=b"]].concat()).unwrap();
        assert_eq!(given.address, "[::1]:7".parse().unwrap());
        assert_eq!(given.workers, 3);
        assert!(given.has_flag("legacy"));
        assert_eq!(given.option("mode"), Some("b"));
    }

    #[test]
    fn bad_input_is_refused() {
        for bad in [
            &["--listen"][..],
            &["--listen", "localhost"],
            &["--workers", "0"],
            &["--workers", "1025"],
            &["--loud"],
            &["7"],
            &["--mode"],
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reserved_address_can_be_shared_and_gets_no_connections() {
        let (reserved, address) = reserve(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert!(listen(address).is_err(), "it is not kept");
        let shared = socket(address, true).unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        shared.set_nonblocking(true).unwrap();
        shared.accept().expect("the connection is here");
        drop(reserved);
    }

    #[test]
    fn shared_listeners_have_one_address() {
        let listeners = listen_shared(SocketAddr::from(([127, 0, 0, 1], 0)), 3).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert_eq!(listeners.len(), 3);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), address);
        }
    }
}
