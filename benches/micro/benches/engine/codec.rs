//! The line protocol of the chat example: the one parser of this workspace that sees every byte of a
//! server's clients.

use std::hint::black_box;

use criterion::{Criterion, Throughput};

use crate::lines::LineSplitter;

const LINES: usize = 64;
const LINE: &[u8] = b"the quick brown fox jumps over the lazy dog, again and again.\r\n";

pub(crate) fn benches(criterion: &mut Criterion) {
    let stream = LINE.repeat(LINES);
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    // Whole reads of 4 KiB, and reads that cut lines.
    for (name, read) in [("codec-lines", 4096), ("codec-lines-cut", 50)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut splitter = LineSplitter::default();
                let (mut lines, mut bytes) = (0, 0);
                for chunk in black_box(&stream).chunks(read) {
                    splitter.push(chunk, |line| {
                        lines += 1;
                        bytes += line.len();
                    });
                }
                assert_eq!((lines, bytes), (LINES, LINES * (LINE.len() - 2)));
            });
        });
    }
    group.finish();
}
