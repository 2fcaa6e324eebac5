//! Uses the published crate `llam` 0.1.4 as its users do: tasks, groups, locks, cancellation, channels,
//! select, TCP and files. Built with `LLAM_SYS_PREFIX` at an SDK; prints a line for each part.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use llam::channel::bounded;
use llam::net::{TcpListener, TcpStream};
use llam::sync::Mutex;

fn main() {
    llam::run(|| {
        tasks()?;
        locks_and_batches()?;
        cancellation()?;
        channels()?;
        select()?;
        tcp()?;
        files()?;
        blocking()?;
        task_locals()?;
        Ok(())
    })
    .expect("the run succeeds");
    several_runs();
    println!("ok");
}

fn tasks() -> llam::Result<()> {
    let answer = llam::spawn!(move { 6 * 7 });
    assert_eq!(answer.join().expect("joined"), 42);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let panics = llam::task::spawn(|| -> u32 { panic!("expected") });
    assert!(matches!(panics.join(), Err(llam::JoinError::Panic(_))));
    std::panic::set_hook(hook);
    let total = llam::scope(|s| {
        let numbers = [1, 2, 3];
        let sum = numbers.iter().sum::<i32>();
        let child = s.spawn(move || sum);
        child.join().expect("joined")
    });
    assert_eq!(total, 6);
    println!("tasks");
    Ok(())
}

fn locks_and_batches() -> llam::Result<()> {
    let count = Arc::new(Mutex::new(0)?);
    let mut batch = llam::TaskBatch::with_capacity(100);
    for _ in 0..100 {
        let count = Arc::clone(&count);
        batch.spawn(move || {
            for _ in 0..10 {
                *count.lock().expect("locked") += 1;
                llam::task::yield_now();
            }
        })?;
    }
    batch.join().expect("all ended");
    assert_eq!(*count.lock()?, 1000);
    println!("locks and batches");
    Ok(())
}

fn cancellation() -> llam::Result<()> {
    let token = llam::CancelToken::new()?;
    let options = llam::SpawnOptions::new().cancel(token.clone());
    let sleeper =
        llam::task::spawn_with(options, || llam::time::sleep(Duration::from_secs(60)).is_err());
    llam::time::sleep(Duration::from_millis(5))?;
    token.cancel()?;
    assert!(sleeper.join().expect("joined"));
    println!("cancellation");
    Ok(())
}

fn channels() -> llam::Result<()> {
    let (tx, rx) = bounded::<String>(4)?;
    let producer = llam::task::spawn(move || {
        for number in 0..1000 {
            tx.send(number.to_string()).expect("sent");
        }
    });
    let mut next = 0;
    while let Some(text) = rx.recv_option()? {
        assert_eq!(text, next.to_string());
        next += 1;
    }
    assert_eq!(next, 1000);
    producer.join().expect("joined");
    let (tx, rx) = bounded::<u8>(1)?;
    assert!(rx.try_recv().is_err());
    assert!(rx.recv_timeout(Duration::from_millis(5)).is_err());
    drop(tx);
    assert!(rx.recv_option()?.is_none());
    println!("channels");
    Ok(())
}

fn select() -> llam::Result<()> {
    let (fast_tx, fast_rx) = bounded::<u32>(1)?;
    let (_slow_tx, slow_rx) = bounded::<u32>(1)?;
    let sender = llam::task::spawn(move || {
        llam::time::sleep(Duration::from_millis(3)).expect("slept");
        fast_tx.send(7).expect("sent");
    });
    let chosen = llam::select! {
        recv(slow_rx) -> value => value.expect("nobody sends"),
        recv(fast_rx) -> value => value.expect("received"),
        after(Duration::from_secs(20)) => 0,
    };
    assert_eq!(chosen, 7);
    sender.join().expect("joined");
    let chosen = llam::select! {
        recv(slow_rx) -> _value => "received",
        after(Duration::from_millis(2)) => "late",
    };
    assert_eq!(chosen, "late");
    let chosen = llam::select! {
        recv(slow_rx) -> _value => "received",
        default => "default",
    };
    assert_eq!(chosen, "default");
    println!("select");
    Ok(())
}

fn tcp() -> llam::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = llam::task::spawn(move || {
        for _ in 0..8 {
            let (mut peer, _) = listener.accept().expect("accepted");
            llam::task::spawn(move || {
                let mut buffer = [0; 1024];
                loop {
                    match peer.read(&mut buffer).expect("read") {
                        0 => break,
                        count => peer.write_all(&buffer[..count]).expect("written"),
                    }
                }
            });
        }
    });
    let mut clients = llam::TaskBatch::new();
    for client in 0..8_u8 {
        clients.spawn(move || {
            let mut stream = TcpStream::connect(address).expect("connected");
            for round in 0..100 {
                let sent = [client, round, 1, 2, 3];
                stream.write_all(&sent).expect("written");
                let mut got = [0; 5];
                stream.read_exact(&mut got).expect("read");
                assert_eq!(got, sent);
            }
        })?;
    }
    clients.join().expect("all ended");
    server.join().expect("joined");
    println!("tcp");
    Ok(())
}

fn files() -> llam::Result<()> {
    let path = std::env::temp_dir().join(format!("llam-published-{}", std::process::id()));
    let mut file = llam::fs::File::create(&path)?;
    file.write_all(b"kept on disk")?;
    drop(file);
    let mut text = String::new();
    llam::fs::File::open(&path)?.read_to_string(&mut text)?;
    assert_eq!(text, "kept on disk");
    std::fs::remove_file(path)?;
    println!("files");
    Ok(())
}

fn blocking() -> llam::Result<()> {
    let here = std::thread::current().id();
    let there = llam::blocking::call(|| std::thread::current().id())?.expect("no panic");
    assert_ne!(here, there);
    println!("blocking calls");
    Ok(())
}

fn task_locals() -> llam::Result<()> {
    let key = llam::TaskLocalKey::new()?;
    key.set(5_u32)?;
    assert_eq!(key.get_cloned()?, Some(5));
    assert_eq!(key.take()?, Some(5));
    println!("task-local values");
    Ok(())
}

/// The default runtime starts again and again in one process.
fn several_runs() {
    for round in 0..3 {
        llam::run(move || {
            let task = llam::task::spawn(move || round * 2);
            assert_eq!(task.join().expect("joined"), round * 2);
            Ok(())
        })
        .expect("the run succeeds");
    }
    println!("several runs");
}
