//! Promise: PostgreSQL with TLS, Redis and MQTT work through every node with their own clients, passwords included, and a
//! session that is silent for longer than its idle timeout, and no other, is ended.
//!
//! Needs PostgreSQL, Redis and Mosquitto, as Debian packages them.

use std::net::SocketAddr;

use guideway_chaos_tests::mosquitto::{self, Mosquitto};
use guideway_chaos_tests::postgres::Postgres;
use guideway_chaos_tests::redis::{self, Redis};
use guideway_chaos_tests::{Cluster, manifest, wait};
use serde_json::{Value, json};

const NODES: [usize; 3] = [0, 1, 2];

#[test]
fn real_servers_with_their_own_clients() {
    let cluster = Cluster::start();
    let free = |number| {
        let address = cluster.addresses().endpoint(number);
        (address, cluster.addresses().free_port(&[address.into()]))
    };
    let postgres = Postgres::start_with_tls(cluster.addresses().endpoint(0));
    let (address, port) = free(1);
    let redis = Redis::start(address, port);
    let (address, port) = free(2);
    let mosquitto = Mosquitto::start(address, port);
    let listeners = [
        ("postgresql", postgres.address(), json!({})),
        ("redis", redis.address(), json!({})),
        ("mqtt", mosquitto.address(), json!({})),
        ("patient", mosquitto.address(), json!({"idleTimeout": "10m"})),
        ("impatient", mosquitto.address(), json!({"idleTimeout": "1s"})),
    ];
    let ports = listeners.each_ref().map(|_| cluster.free_port());
    configure(&cluster, &listeners, &ports);
    let [postgresql, redis, mqtt, patient, impatient] = ports;
    for index in NODES {
        with_postgres(&postgres, cluster.listener(index, postgresql));
        with_redis(cluster.listener(index, redis), index);
        with_mqtt(cluster.listener(index, mqtt), index);
    }
    silence(&cluster, mqtt, patient, impatient);
}

fn configure(cluster: &Cluster, listeners: &[(&str, SocketAddr, Value)], ports: &[u16]) {
    let api = cluster.api(0);
    let specs: Vec<Value> = listeners
        .iter()
        .zip(ports)
        .map(|((name, _, _), port)| json!({"name": name, "protocol": "TCP", "port": port}))
        .collect();
    let gateway = manifest::gateway_with("servers", specs.into());
    api.apply(&gateway);
    for (name, server, timeouts) in listeners {
        api.apply(&manifest::backend(name, &[*server]));
        let route = manifest::tcp_route_to_backend(name, "servers", name, name);
        api.apply(&route);
        let policy = json!({"timeout": {"tcp": timeouts}});
        api.apply(&manifest::backend_traffic_policy(name, "TCPRoute", name, policy));
        api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
    }
    api.wait_condition(&gateway, "Programmed", "True");
}

fn with_postgres(postgres: &Postgres, listener: SocketAddr) {
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let answer = wait::until(&format!("PostgreSQL through {listener}"), || {
        postgres.psql(listener, encrypted)
    });
    assert_eq!(answer, "t");
    let refused = postgres
        .psql_in_the_clear(listener, "select 1")
        .expect_err("the server requires TLS");
    assert!(refused.contains("no encryption"), "{refused}");
}

fn with_redis(listener: SocketAddr, index: usize) {
    let value = index.to_string();
    let set = wait::until(&format!("Redis through {listener}"), || {
        redis::ask(listener, &["set", "node", &value])
    });
    assert_eq!(set, "OK");
    assert_eq!(redis::ask(listener, &["get", "node"]), Ok(value));
    redis::ask_with(listener, "wrong", &["ping"]).expect_err("the password is wrong");
}

fn with_mqtt(listener: SocketAddr, index: usize) {
    let subscriber = mosquitto::subscribe(listener, "greetings", 60);
    wait::until(&format!("a message through {listener}"), || {
        mosquitto::publish(listener, "greetings", &format!("hello {index}"))?;
        let received = subscriber.output();
        let wanted = format!("hello {index}");
        if received.contains(&wanted) {
            Ok(())
        } else {
            Err(format!("{received:?}"))
        }
    });
    mosquitto::publish_as(listener, "wrong", "greetings", "x").expect_err("the password is wrong");
}

/// A keepalive longer than the idle timeout means that the device is thrown out, over and over; the page on MQTT says
/// to set the timeout above it.
fn silence(cluster: &Cluster, mqtt: u16, patient: u16, impatient: u16) {
    let closed = |listener: &'static str| {
        let labels = [("listener", listener), ("reason", "idle_timeout")];
        cluster.sample(&[0], "guideway_dataplane_sessions_closed_total", &labels)
    };
    let accepted = || {
        let labels = [("listener", "patient")];
        cluster.sample(&[0], "guideway_dataplane_sessions_accepted_total", &labels)
    };
    let subscriber = mosquitto::subscribe(cluster.listener(0, patient), "silence", 60);
    wait::until("the patient subscriber has a session", || {
        if accepted() == 1.0 {
            Ok(())
        } else {
            Err(accepted().to_string())
        }
    });
    let _impatient = mosquitto::subscribe(cluster.listener(0, impatient), "silence", 60);
    wait::until("a silent session is ended, and the one after it", || {
        let count = closed("impatient");
        if count >= 2.0 { Ok(()) } else { Err(count.to_string()) }
    });
    assert_eq!(closed("patient"), 0.0, "a session within its timeout is left alone");
    assert_eq!(accepted(), 1.0, "and its client has not had to come back");
    wait::until("the message after the silence", || {
        mosquitto::publish(cluster.listener(1, mqtt), "silence", "it is over")?;
        let received = subscriber.output();
        if received.iter().any(|line| line == "it is over") {
            Ok(())
        } else {
            Err(format!("{received:?}"))
        }
    });
}
