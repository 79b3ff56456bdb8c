//! What a PostgreSQL behind a cluster is put through: transactions by every node, and load and an open session while a node
//! is lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::postgres::Postgres;
use crate::wait::StopOnDrop;

/// A transaction through each listener, which all listeners then show.
pub fn transactions_through_each(postgres: &Postgres, listeners: &[SocketAddr]) {
    postgres
        .psql(listeners[0], "create table visits (node int primary key)")
        .expect("psql creates a table");
    for (index, listener) in listeners.iter().enumerate() {
        postgres
            .psql(
                *listener,
                &format!("begin; insert into visits values ({index}); commit"),
            )
            .unwrap_or_else(|failure| panic!("a transaction through {listener}: {failure}"));
    }
    for listener in listeners {
        let seen = postgres.psql(*listener, "select count(*) from visits");
        assert_eq!(seen, Ok(listeners.len().to_string()), "through {listener}");
    }
}

/// While `meanwhile` happens, which loses a node and has it come back, everything goes on through the listener `through` of
/// another: pgbench without a failed transaction, and a transaction that was open before. The listener `back` of the lost
/// node shows it in the end.
pub fn traffic_goes_on(postgres: &Postgres, through: SocketAddr, back: SocketAddr, meanwhile: impl FnOnce()) {
    postgres
        .pgbench(through, &["--initialize", "--scale=1", "--quiet"])
        .expect("pgbench fills its tables");
    let mut session = postgres.psql_session(through);
    session.send("begin; insert into visits values (100);");

    let stop = AtomicBool::new(false);
    let runs = std::thread::scope(|scope| {
        let bench = scope.spawn(|| bench_until(postgres, through, &stop));
        let guard = StopOnDrop(&stop);
        meanwhile();
        drop(guard);
        bench.join().expect("every pgbench run succeeds")
    });
    assert!(
        runs >= 2,
        "pgbench ran with and without a connection for each transaction"
    );

    session.send("commit; select count(*) from visits where node = 100;");
    assert_eq!(session.finish().as_deref(), Ok("1"), "the open session committed");
    let seen = postgres.psql(back, "select count(*) from visits where node = 100");
    assert_eq!(seen.as_deref(), Ok("1"), "through the node that came back");
}

/// Runs pgbench again and again, in turns with fresh connections and with lasting ones; panics if one fails.
fn bench_until(postgres: &Postgres, through: SocketAddr, stop: &AtomicBool) -> usize {
    let forms: [&[&str]; 2] = [
        &["--client=4", "--transactions=50", "--connect", "--no-vacuum"],
        &["--client=4", "--transactions=250", "--no-vacuum"],
    ];
    let mut runs = 0;
    while runs < forms.len() || !stop.load(Ordering::Relaxed) {
        let report = postgres
            .pgbench(through, forms[runs % forms.len()])
            .unwrap_or_else(|failure| panic!("pgbench run {runs}: {failure}"));
        assert!(
            report.contains("number of failed transactions: 0 "),
            "pgbench run {runs}: {report}"
        );
        runs += 1;
    }
    runs
}
