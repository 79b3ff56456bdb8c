//! A port of an endpoint, as the command line names it.

/// A port and its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    /// 1 to 65535
    pub(super) number: u16,
    /// Otherwise TCP.
    pub(super) udp: bool,
}

pub(super) fn parse(text: &str) -> Result<Port, String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    match (number.parse(), protocol) {
        (Ok(number), "tcp" | "udp") if number > 0 => Ok(Port {
            number,
            udp: protocol == "udp",
        }),
        _ => Err(
            "must be a port from 1 to 65535, with /tcp or /udp behind it or nothing, such as 5432 or 53/udp".to_owned(),
        ),
    }
}
