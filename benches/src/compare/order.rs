//! In which order the entries of a round are measured.
//!
//! Owns a design in which, over enough rounds, everybody has each place and each predecessor equally
//! often (E. J. Williams 1949), so that what one sample leaves behind (heat, caches, ports, memory)
//! falls on nobody in particular. Called by the module.

/// The order of `round` among `count` entries. Balanced after `count` rounds when `count` is even, after
/// twice as many when it is odd.
pub(crate) fn of_round(round: usize, count: usize) -> Vec<usize> {
    // 0, 1, -1, 2, -2, ..: neighbours differ by each distance once.
    let shifted = (0..count).map(|place| {
        let step = place.div_ceil(2);
        let base = if place % 2 == 1 { step } else { count - step };
        (base + round) % count
    });
    let mut order: Vec<_> = shifted.collect();
    if count % 2 == 1 && round % (2 * count) >= count {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_neighbours_are_balanced() {
        for count in 1..=9 {
            let rounds = if count % 2 == 1 { 2 * count } else { count };
            let mut places = vec![vec![0; count]; count];
            let mut pairs = vec![vec![0; count]; count];
            for round in 0..rounds {
                let order = of_round(round, count);
                for (place, entry) in order.iter().enumerate() {
                    places[*entry][place] += 1;
                }
                for pair in order.windows(2) {
                    pairs[pair[0]][pair[1]] += 1;
                }
            }
            for entry in 0..count {
                assert!(
                    places[entry].iter().all(|n| *n == rounds / count),
                    "{count}"
                );
                for other in (0..count).filter(|other| *other != entry) {
                    assert_eq!(pairs[entry][other], rounds / count, "{count}");
                }
                assert_eq!(pairs[entry][entry], 0, "{count}");
            }
        }
    }
}
