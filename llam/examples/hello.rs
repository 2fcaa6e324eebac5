//! The first program: a few tasks, a channel between them, and a join.
//!
//! `cargo run -p llam --example hello`

use llam::channel;

fn main() -> llam::Result<()> {
    llam::run(|| {
        let (sender, receiver) = channel::bounded::<String>(4)?;
        for name in ["one", "two", "three"] {
            let sender = sender.clone();
            llam::spawn!(move {
                // Fails only when nobody listens any more.
                let _ = sender.send(format!("hello from task {name}"));
            });
        }
        // The last sender closes the channel, which ends the loop below.
        drop(sender);
        while let Some(line) = receiver.recv_option()? {
            println!("{line}");
        }
        let answer = llam::spawn(|| 6 * 7)
            .join()
            .expect("the task does not panic");
        println!("and the answer is {answer}");
        Ok(())
    })
}
