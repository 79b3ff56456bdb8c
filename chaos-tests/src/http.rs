//! A small blocking HTTP/1.1 client: one request a connection, so that no state is shared between requests. What it
//! shows to an `https://` server is what the kubeconfig says that was last read for it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::Value;

use crate::credentials;

/// Longer than any answer takes, writes without quorum included.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// Body without transfer encoding.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends one request to an `http://address:port/path` or `https://` URL.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
    let Target { authority, path, .. } = split(url)?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    exchange(url, &request)
}

/// Gets a URL.
pub fn get(url: &str) -> io::Result<Response> {
    send("GET", url, &[], &[])
}

/// A watch: lines of JSON that come until one side ends it.
pub struct Watch(BufReader<Box<dyn Stream>>);

impl Watch {
    /// Opens a watch at a URL.
    pub fn open(url: &str) -> io::Result<Watch> {
        let (mut stream, Target { authority, path, .. }) = connect(url)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n"
        )?;
        let mut reader = BufReader::new(stream);
        let mut status = String::new();
        reader.read_line(&mut status)?;
        if status.split(' ').nth(1) != Some("200") {
            return Err(io::Error::other(format!("{url}: {status}")));
        }
        Ok(Watch(reader))
    }

    /// The next event; an error if none comes in the time of an answer, or the watch has ended.
    pub fn event(&mut self) -> io::Result<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the watch has ended"));
            }
            // Between events stand the rest of the head, and the frames of the chunked encoding.
            if line.starts_with('{') {
                return Ok(serde_json::from_str(&line)?);
            }
        }
    }
}

/// Sends bytes as they are to a URL's server and reads an answer; for input no client library would send.
pub fn send_raw(url: &str, request: &[u8]) -> io::Result<Response> {
    exchange(url, request)
}

fn exchange(url: &str, request: &[u8]) -> io::Result<Response> {
    let (mut stream, Target { authority, .. }) = connect(url)?;
    // A server that refuses a body early answers and closes while the client still writes.
    let written = stream.write_all(request);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    match parse(&answer) {
        Some(response) => Ok(response),
        None => {
            written?;
            read?;
            let start = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
            Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{authority} closed the connection without a whole answer; it begins {start:?}"),
            ))
        }
    }
}

/// A connection, with TLS or without.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

fn connect(url: &str) -> io::Result<(Box<dyn Stream>, Target<'_>)> {
    let target = split(url)?;
    let authority = target.authority;
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
    let address: SocketAddr = authority
        .parse()
        .map_err(|_| invalid(format!("{authority} is not address:port")))?;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    if !target.is_tls {
        return Ok((Box::new(stream), target));
    }
    let config = credentials::of(authority)
        .ok_or_else(|| invalid(format!("no kubeconfig was read that has a server {authority}")))?;
    let name = ServerName::from(address.ip());
    let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
    Ok((Box::new(StreamOwned::new(session, stream)), target))
}

/// The parts of a URL.
struct Target<'a> {
    is_tls: bool,
    authority: &'a str,
    path: &'a str,
}

fn split(url: &str) -> io::Result<Target<'_>> {
    let (is_tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => {
            let problem = format!("{url} is neither an http:// nor an https:// URL");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    Ok(Target {
        is_tls,
        authority: &rest[..slash],
        path: if slash == rest.len() { "/" } else { &rest[slash..] },
    })
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &answer[end + 4..];
    let find = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let body = if find("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        dechunk(body)?
    } else if let Some(length) = find("content-length") {
        body.get(..length.parse().ok()?)?.to_vec()
    } else {
        body.to_vec()
    };
    Some(Response { status, headers, body })
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line_end]).ok()?.trim(), 16).ok()?;
        rest = &rest[line_end + 2..];
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ways_to_frame_a_body() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").expect("whole");
        assert_eq!((plain.status, plain.body.as_slice()), (200, b"{}".as_slice()));
        let chunked = parse(
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
        )
        .expect("whole");
        assert_eq!(
            (chunked.status, chunked.body.as_slice()),
            (201, b"abc0123456789".as_slice())
        );
    }

    #[test]
    fn a_cut_answer_is_none() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").is_none());
        assert!(parse(b"HTTP/1.1 200").is_none());
    }
}
