//! The plaintext answer from axum. As its benchmark entry does it, the router is served by hyper's
//! HTTP/1 connection, whose pipelined answers are written together, on a current-thread runtime per worker, each
//! with its own listener on the same address.
#![forbid(unsafe_code)]

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, SERVER};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rival_common::server::{self, Arguments, BODY};
use std::{io, thread};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = serve(&arguments) {
        rival_common::fail(error)
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    server::end_on_signal()?;
    let mut listeners = server::listen_shared(arguments.address, arguments.workers)?.into_iter();
    let first = listeners.next().expect("there is one at least");
    server::announce("axum-http", first.local_addr()?)?;
    for listener in listeners {
        thread::spawn(move || {
            if let Err(error) = run(listener) {
                rival_common::fail(error);
            }
        });
    }
    run(first)
}

fn run(listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    listener.set_nonblocking(true)?;
    let router = Router::new().route("/plaintext", get(plaintext));
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream, router.clone()));
        }
    })
}

/// A peer that is gone ends its connection only.
async fn connection(stream: TcpStream, router: Router) {
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}

async fn plaintext() -> impl IntoResponse {
    let headers = [
        (SERVER, HeaderValue::from_static("axum")),
        (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        (CONTENT_LENGTH, HeaderValue::from_static("13")),
    ];
    (headers, BODY)
}
