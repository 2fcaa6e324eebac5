//! Reads a Windows `HANDLE` from a task: what `llam::io::read_handle` is for. On other systems,
//! where a handle is a descriptor, it says so and ends.
//!
//! `cargo run -p llam --example windows_handle_io`

#[cfg(not(windows))]
fn main() {
    println!("this example needs Windows; elsewhere a handle is a descriptor, see llam::io::read");
}

#[cfg(windows)]
fn main() -> llam::Result<()> {
    use std::os::windows::io::AsRawHandle;

    llam::run(|| {
        let path = std::env::temp_dir().join("llam-windows-handle-io.txt");
        std::fs::write(&path, b"read through a handle\n")?;
        let file = std::fs::File::open(&path)?;
        let mut buffer = [0; 64];
        let length = llam::io::read_handle(file.as_raw_handle() as llam::io::Handle, &mut buffer)?;
        print!("{}", String::from_utf8_lossy(&buffer[..length]));
        std::fs::remove_file(&path)?;
        Ok(())
    })
}
