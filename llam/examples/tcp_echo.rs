//! An echo server on 127.0.0.1:9090, one task per connection, in a page.
//!
//! `cargo run -p llam --example tcp_echo`

use llam::net::{TcpListener, TcpStream};
use std::io::{self, Read, Write};

const ADDRESS: &str = "127.0.0.1:9090";

#[llam::main]
fn main() -> llam::Result<()> {
    let listener = TcpListener::bind(ADDRESS)?;
    println!("listening on {ADDRESS}");
    loop {
        let (stream, peer) = listener.accept()?;
        llam::spawn!(move {
            if let Err(error) = echo(&stream) {
                eprintln!("{peer:?}: {error}");
            }
        });
    }
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
