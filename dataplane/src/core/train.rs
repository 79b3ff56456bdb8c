//! Datagrams of one flow that leave in one piece: the kernel, or the network card, cuts it up again (UDP_SEGMENT).

/// Segments at most in one piece: what Linux has taken since 4.18.
const SEGMENTS: usize = 64;
/// Bytes at most in one piece, headers left room for.
const BYTES: usize = 65_000;

/// Datagrams next to one another that leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// How many.
    pub count: usize,
    /// Bytes of each but the last, which may be shorter; `None` if there is only one.
    pub segment: Option<u16>,
}

/// The train at the head of a queue of datagrams with these lengths. Only datagrams of one size can leave together, and
/// one shorter at the end; a datagram without a byte, or one longer than `most`, leaves alone.
pub fn head(lengths: impl Iterator<Item = usize>, most: usize) -> Option<Train> {
    let mut lengths = lengths.peekable();
    let size = *lengths.peek()?;
    let alone = Train {
        count: 1,
        segment: None,
    };
    let Ok(segment) = u16::try_from(size) else {
        return Some(alone);
    };
    if size == 0 || size > most {
        return Some(alone);
    }
    let (mut count, mut bytes) = (0, 0);
    for length in lengths {
        if length == 0 || length > size || count == SEGMENTS || bytes + length > BYTES {
            break;
        }
        count += 1;
        bytes += length;
        if length < size {
            break;
        }
    }
    Some(match count {
        0 | 1 => alone,
        _ => Train {
            count,
            segment: Some(segment),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trains(mut lengths: &[usize]) -> Vec<(usize, Option<u16>)> {
        let mut trains = Vec::new();
        while let Some(train) = head(lengths.iter().copied(), 1400) {
            trains.push((train.count, train.segment));
            lengths = &lengths[train.count..];
        }
        trains
    }

    #[test]
    fn equal_datagrams_leave_together_and_a_shorter_one_ends_them() {
        assert_eq!(trains(&[]), []);
        assert_eq!(trains(&[9]), [(1, None)]);
        assert_eq!(trains(&[9, 9, 9]), [(3, Some(9))]);
        assert_eq!(trains(&[9, 9, 4, 4, 9]), [(3, Some(9)), (1, None), (1, None)]);
        assert_eq!(trains(&[4, 9, 9]), [(1, None), (2, Some(9))]);
    }

    #[test]
    fn empty_and_large_datagrams_leave_alone() {
        assert_eq!(trains(&[0, 0, 5, 0]), [(1, None), (1, None), (1, None), (1, None)]);
        assert_eq!(trains(&[1400, 1400]), [(2, Some(1400))]);
        assert_eq!(trains(&[1401, 1401, 65_507]), [(1, None), (1, None), (1, None)]);
    }

    #[test]
    fn a_train_is_no_longer_than_the_kernel_takes() {
        assert_eq!(trains(&[1; 130]), [(64, Some(1)), (64, Some(1)), (2, Some(1))]);
        assert_eq!(trains(&[1400; 50]), [(46, Some(1400)), (4, Some(1400))]);
    }
}
