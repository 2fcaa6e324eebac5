//! Starts nginx with the plaintext answer, and ends it.
//!
//! nginx has no way to say which port it got, so the port is taken first, by a socket that does not listen and
//! shares it. Owns nginx's process and a folder for its configuration and files; both are gone when this
//! process has ended.

use rival_common::server::{self, Arguments, BODY};
use rustix::process::{
    Pid, Resource, Signal, getrlimit, kill_process, set_parent_process_death_signal,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// How long nginx may take to listen.
const LIMIT: Duration = Duration::from_secs(10);

/// Of a worker, when so many descriptors are allowed.
const MAX_CONNECTIONS: u64 = 65_536;

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = serve(&arguments) {
        rival_common::fail(error)
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (_reserved, address) = server::reserve(arguments.address)?;
    let folder = Folder::new()?;
    let file = folder.0.join("nginx.conf");
    fs::write(&file, configuration(&folder.0, address, arguments.workers))?;
    let mut nginx = start(&folder.0, &file)?;
    let pid = Pid::from_child(&nginx);
    let is_told_to_end = Arc::new(AtomicBool::new(false));
    let told = is_told_to_end.clone();
    thread::spawn(move || {
        for _ in &mut signals {
            told.store(true, Ordering::SeqCst);
            // It may have ended by itself, which the other thread finds out.
            let _ = kill_process(pid, Signal::TERM);
        }
    });
    wait_until_it_listens(&mut nginx, address)?;
    server::announce("nginx-http", address)?;
    let status = nginx.wait()?;
    if status.success() && is_told_to_end.load(Ordering::SeqCst) {
        Ok(())
    } else {
        Err(io::Error::other(format!("nginx ended with {status}")))
    }
}

/// A folder of this process.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("rival-nginx-{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Connections are never ended by nginx, nothing is logged, and the sockets are the worker's own.
fn configuration(folder: &Path, address: SocketAddr, workers: usize) -> String {
    let folder = folder.display();
    let limit = getrlimit(Resource::Nofile).maximum;
    let descriptors = limit.map_or(MAX_CONNECTIONS, |limit| limit.min(MAX_CONNECTIONS));
    format!(
        "daemon off;
worker_processes {workers};
worker_rlimit_nofile {descriptors};
pid {folder}/nginx.pid;
error_log stderr crit;
events {{
    worker_connections {descriptors};
    use epoll;
}}
http {{
    access_log off;
    server_tokens off;
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    tcp_nodelay on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address} reuseport backlog=4096;
        location = /plaintext {{
            return 200 \"{BODY}\";
        }}
    }}
}}
"
    )
}

fn start(folder: &Path, file: &Path) -> io::Result<Child> {
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(file)
        // Before it has read where its log is, it would write to the system's.
        .args(["-e", "stderr"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let ends_with_this = || Ok(set_parent_process_death_signal(Some(Signal::TERM))?);
    // SAFETY: between fork and exec it makes one system call, and nothing that could wait for a lock. The
    // thread that spawns is the main one, which lives as long as this process.
    unsafe { nginx.pre_exec(ends_with_this) };
    nginx
        .spawn()
        .map_err(|error| io::Error::other(format!("nginx cannot be started: {error}")))
}

fn wait_until_it_listens(nginx: &mut Child, address: SocketAddr) -> io::Result<()> {
    let end = Instant::now() + LIMIT;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = nginx.try_wait()? {
            return Err(io::Error::other(format!("nginx ended with {status}")));
        }
        if Instant::now() > end {
            nginx.kill()?;
            return Err(io::Error::other("nginx does not listen in time"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
