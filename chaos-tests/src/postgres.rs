//! A real PostgreSQL server and its clients.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::process::Process;
use crate::{program, unprivileged, wait};

/// The password of the superuser `postgres`: local to a test's own loopback address.
const PASSWORD: &str = "guideway";

/// The name in the certificate of a server that requires TLS.
const NAME: &str = "postgresql.test";

/// A running server in a folder of its own; ends when dropped.
#[derive(Debug)]
pub struct Postgres {
    clients: Clients,
    address: SocketAddr,
    /// Dropped before the folder it works in.
    server: Process,
    _folder: TempDir,
}

/// Where a server runs, and its clients.
#[derive(Clone, Debug, Default)]
struct Place {
    /// What stands before each program and its arguments.
    inside: Vec<String>,
    /// Otherwise a free one.
    port: Option<u16>,
}

/// How clients dial.
#[derive(Clone, Debug)]
struct Clients {
    binaries: PathBuf,
    /// What stands before a program.
    inside: Vec<String>,
    /// What they trust, if the server requires TLS.
    trusted: Option<PathBuf>,
}

impl Postgres {
    /// Creates a database cluster and serves it, without TLS, on a free port of `address`.
    ///
    /// PostgreSQL refuses to run as root; then it runs as `nobody`.
    pub fn start(address: impl Into<IpAddr>) -> Postgres {
        Postgres::start_on(address.into(), Place::default(), false)
    }

    /// [`Postgres::start`] on a port of an address that only programs with `inside` before them have, where nothing else
    /// listens; so are its clients run.
    pub fn start_inside(inside: Vec<String>, address: impl Into<IpAddr>, port: u16) -> Postgres {
        let port = Some(port);
        Postgres::start_on(address.into(), Place { inside, port }, false)
    }

    /// [`Postgres::start`] with a server that refuses whoever does not use TLS, and clients that check its certificate.
    pub fn start_with_tls(address: impl Into<IpAddr>) -> Postgres {
        Postgres::start_on(address.into(), Place::default(), true)
    }

    fn start_on(address: IpAddr, place: Place, tls: bool) -> Postgres {
        let binaries = newest_binaries();
        let folder = tempfile::Builder::new()
            .prefix("guideway-postgres-")
            .tempdir()
            .expect("a temporary folder can be made");
        let data = folder.path().join("data");
        let password_file = folder.path().join("password");
        std::fs::write(&password_file, PASSWORD).expect("the password can be written");
        let certificate = tls.then(|| Certificate::make(folder.path(), NAME));
        unprivileged::own(folder.path());
        let mut initdb = Command::new("setpriv");
        initdb
            .args(unprivileged::arguments())
            .arg(binaries.join("initdb"))
            .args([
                "--no-sync",
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(&data);
        program::must(&mut initdb);
        // What initdb writes lets in who comes by loopback alone.
        let rule = if certificate.is_some() { "hostssl" } else { "host" };
        let rule = format!("{rule} all all all scram-sha-256\n");
        std::fs::write(data.join("pg_hba.conf"), rule).expect("the rules can be written");
        let port = place.port.unwrap_or_else(|| free_port(address));
        let mut arguments = place.inside.clone();
        arguments.push("setpriv".to_owned());
        arguments.extend(unprivileged::arguments());
        arguments.extend([
            binaries.join("postgres").display().to_string(),
            "-D".into(),
            data.display().to_string(),
            "-h".into(),
            address.to_string(),
            "-p".into(),
            port.to_string(),
            "-k".into(),
            folder.path().display().to_string(),
            "-c".into(),
            "fsync=off".into(),
        ]);
        if let Some(made) = &certificate {
            let files = [("ssl_cert_file", &made.certificate), ("ssl_key_file", &made.key)];
            let settings = files.map(|(setting, file)| format!("{setting}={}", file.display()));
            for setting in settings.into_iter().chain(["ssl=on".to_owned()]) {
                arguments.extend(["-c".to_owned(), setting]);
            }
        }
        let clients = Clients {
            binaries,
            inside: place.inside,
            trusted: certificate.map(|made| made.certificate),
        };
        let mut server = Process::start("env", arguments);
        let postgres_address = SocketAddr::new(address, port);
        wait::until("PostgreSQL answers", || {
            assert!(server.exited().is_none(), "PostgreSQL ended:\n{}", server.tail());
            let answer = clients
                .command("psql", postgres_address)
                .args(["-c", "select 1"])
                .output()
                .map_err(|error| error.to_string())?;
            if answer.status.success() {
                Ok(())
            } else {
                Err(text(&answer))
            }
        });
        Postgres {
            clients,
            address: postgres_address,
            server,
            _folder: folder,
        }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs SQL by `psql` through `server`; the rows without headers, or what went wrong.
    pub fn psql(&self, server: SocketAddr, sql: &str) -> Result<String, String> {
        self.clients.psql(server, sql)
    }

    /// [`Postgres::psql`] by a client that uses no TLS.
    pub fn psql_in_the_clear(&self, server: SocketAddr, sql: &str) -> Result<String, String> {
        let clients = Clients {
            trusted: None,
            ..self.clients.clone()
        };
        clients.psql(server, sql)
    }

    /// Opens a `psql` that stays connected through `server` and runs what it is sent.
    pub fn psql_session(&self, server: SocketAddr) -> PsqlSession {
        let mut child = self
            .clients
            .command("psql", server)
            .args(["--no-align", "--tuples-only", "--quiet", "-v", "ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql can be started");
        let stdin = child.stdin.take();
        PsqlSession { child, stdin }
    }

    /// Runs `pgbench` through `server` to its end; its report, or what went wrong.
    pub fn pgbench(&self, server: SocketAddr, arguments: &[&str]) -> Result<String, String> {
        let output = self
            .clients
            .command("pgbench", server)
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(text(&output))
        } else {
            Err(text(&output))
        }
    }
}

impl Clients {
    fn psql(&self, server: SocketAddr, sql: &str) -> Result<String, String> {
        let output = self
            .command("psql", server)
            .args([
                "--no-align",
                "--tuples-only",
                "--quiet",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                sql,
            ])
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(text(&output))
        }
    }

    fn command(&self, program: &str, server: SocketAddr) -> Command {
        let mut command = Command::new("env");
        command
            .args(&self.inside)
            .arg(self.binaries.join(program))
            .env("PGHOSTADDR", server.ip().to_string())
            .env("PGHOST", NAME)
            .env("PGPORT", server.port().to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "60")
            .env("PGGSSENCMODE", "disable")
            .stdin(Stdio::null());
        match &self.trusted {
            Some(trusted) => command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", trusted),
            None => command.env("PGSSLMODE", "disable"),
        };
        command
    }
}

/// An open `psql`.
#[derive(Debug)]
pub struct PsqlSession {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl PsqlSession {
    /// Sends a line of SQL.
    pub fn send(&mut self, sql: &str) {
        let stdin = self.stdin.as_mut().expect("open until finish");
        writeln!(stdin, "{sql}").expect("psql reads what it is sent");
        stdin.flush().expect("psql reads what it is sent");
    }

    /// Ends the session; what it printed, or what went wrong.
    pub fn finish(mut self) -> Result<String, String> {
        drop(self.stdin.take());
        let output = self.child.wait_with_output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(text(&output))
        }
    }
}

/// Debian keeps server programs of each version in a folder that is not on PATH.
fn newest_binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let binaries = entry.path().join("bin");
            binaries.join("initdb").exists().then_some((version, binaries))
        })
        .collect();
    found.sort();
    let (_, newest) = found
        .pop()
        .expect("PostgreSQL is needed: apt-get install -y --no-install-recommends postgresql");
    newest
}

fn free_port(address: IpAddr) -> u16 {
    let socket = TcpListener::bind((address, 0)).expect("a loopback address has free ports");
    socket.local_addr().expect("a bound socket has an address").port()
}

fn text(output: &Output) -> String {
    format!(
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGTERM would wait for clients; SIGINT ends their sessions.
        self.server.signal(Signal::INT);
    }
}
