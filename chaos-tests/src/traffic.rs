//! TCP clients of a listener.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Longer than connect time-outs and redispatch take together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What became of one fresh connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// An endpoint greeted with this label.
    Label(String),
    /// The connection was accepted and closed without a byte.
    Rejected,
    /// Nothing listens.
    Refused,
}

/// Opens a connection from any port of `from`, reads who answers, and closes.
pub fn ask(listener: SocketAddr, from: impl Into<IpAddr>) -> io::Result<Answer> {
    ask_from(listener, SocketAddr::new(from.into(), 0))
}

/// [`ask`] from exactly this address and port, which is free again when the function returns.
pub fn ask_from(listener: SocketAddr, client: SocketAddr) -> io::Result<Answer> {
    let mut stream = match connect_from(listener, client) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Answer::Refused),
        // The reset of a rejected session can arrive before connect() has returned.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Answer::Rejected),
        Err(error) => return Err(error),
    };
    match read_line(&mut stream) {
        Ok(Some(label)) => Ok(Answer::Label(label)),
        Ok(None) => Ok(Answer::Rejected),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Answer::Rejected),
        Err(error) => Err(error),
    }
}

/// One open session with an [`Endpoint`](crate::Endpoint).
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
    label: String,
}

impl Session {
    /// Connects and reads the greeting.
    pub fn open(listener: SocketAddr, from: impl Into<IpAddr>) -> io::Result<Session> {
        let mut stream = connect_from(listener, SocketAddr::new(from.into(), 0))?;
        match read_line(&mut stream)? {
            Some(label) => Ok(Session { stream, label }),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The endpoint that answered.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Sends a line and reads it back.
    pub fn echo(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes())?;
        match read_line(&mut self.stream)? {
            Some(back) if back == line => Ok(()),
            back => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("sent {line:?}, got {back:?}"),
            )),
        }
    }

    /// The socket, for bulk transfers.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// The socket is reset when dropped, so that its port can be used again at once.
fn connect_from(listener: SocketAddr, client: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(listener), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&client.into())?;
    socket.connect_timeout(&listener.into(), TIMEOUT)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// `None` at end of stream before any byte. Byte by byte, to leave what follows the line in the socket.
fn read_line(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte)? {
            0 if line.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ if byte[0] == b'\n' => {
                return String::from_utf8(line)
                    .map(Some)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            }
            _ => line.push(byte[0]),
        }
    }
}
