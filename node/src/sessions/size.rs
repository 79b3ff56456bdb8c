//! Numbers in few characters.

const UNITS: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Bytes in at most five characters, such as `1.5Ki`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = "";
    for name in UNITS {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit = name;
    }
    if whole < 10 && !unit.is_empty() {
        return format!("{whole}.{tenths}{unit}");
    }
    format!("{whole}{unit}")
}

/// Seconds as the two greatest units that count, as kubectl shows ages.
pub(super) fn seconds(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{minutes}m{}s", seconds % 60),
        600..10_800 => format!("{minutes}m"),
        10_800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0, "0"),
            (1023, "1023"),
            (1536, "1.5Ki"),
            (10 << 10, "10Ki"),
            (1_048_575, "1023Ki"),
            (u64::MAX, "15Ei"),
        ] {
            assert_eq!(bytes(number), expected);
        }
        for (number, expected) in [
            (0, "0s"),
            (119, "119s"),
            (125, "2m5s"),
            (700, "11m"),
            (20_000, "5h"),
            (200_000, "2d"),
        ] {
            assert_eq!(seconds(number), expected);
        }
    }
}
