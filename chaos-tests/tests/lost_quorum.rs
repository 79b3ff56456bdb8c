//! Promise: a quorum that is lost for good is rebuilt from one node, and nothing that it had is lost: objects, Secrets, the
//! choice of endpoints, and the sessions that it carries, since it need not even stop.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;

use guideway_chaos_tests::member::{Member, guideway};
use guideway_chaos_tests::traffic::{self, Answer, Session};
use guideway_chaos_tests::{Api, Cluster, Endpoint, manifest, wait};
use serde_json::{Value, json};

const ENDPOINTS: u8 = 5;
const TUPLES: usize = 40;

/// What an operator writes, and what must be there afterwards.
struct World {
    endpoints: Vec<Endpoint>,
    port: u16,
    objects: Vec<Value>,
}

impl World {
    fn make(cluster: &Cluster) -> World {
        let endpoints: Vec<Endpoint> = (0..ENDPOINTS)
            .map(|number| Endpoint::start(&format!("endpoint-{number}"), cluster.addresses().endpoint(number)))
            .collect();
        let (api, port) = (cluster.api(0), cluster.free_port());
        let gateway = manifest::gateway("kept", &[("main", port)]);
        let backends: Vec<SocketAddr> = endpoints.iter().map(Endpoint::address).collect();
        let mut objects = vec![gateway.clone()];
        objects.extend(manifest::service_with("app", 80, &backends));
        objects.push(manifest::tcp_route("app", "kept", "main", &[("app", 80, 1)]));
        objects.push(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "kept", "namespace": "default" },
            "stringData": { "word": "a word to keep" },
        }));
        api.apply_all(&objects);
        api.wait_condition(&gateway, "Programmed", "True");
        cluster.wait_caught_up(&[0, 1, 2]);
        cluster.wait_traffic(&[0, 1, 2], port, "an endpoint", |answer| {
            matches!(answer, Answer::Label(_))
        });
        World {
            endpoints,
            port,
            objects,
        }
    }

    /// Every object as it is, without what only the server writes.
    fn seen(&self, api: &Api) -> Vec<Value> {
        let part = |object: &Value| {
            let found = api.read(object);
            json!([
                found["spec"],
                found["data"],
                found["endpoints"],
                found["metadata"]["uid"],
                found["metadata"]["generation"]
            ])
        };
        self.objects.iter().map(part).collect()
    }

    /// Which endpoint each tuple reaches through a node.
    fn chosen(&self, node: IpAddr, tuples: &[SocketAddr]) -> BTreeMap<SocketAddr, Answer> {
        let listener = SocketAddr::new(node, self.port);
        wait::until(&format!("an endpoint through {listener}"), || {
            let ask = |tuple: &SocketAddr| match traffic::ask_from(listener, *tuple) {
                Ok(answer @ Answer::Label(_)) => Ok((*tuple, answer)),
                other => Err(format!("from {tuple}: {other:?}")),
            };
            tuples.iter().map(ask).collect()
        })
    }
}

#[test]
fn one_node_of_three_goes_on_alone_and_two_new_ones_join_it() {
    let mut cluster = Cluster::start();
    let world = World::make(&cluster);
    let tuples = tuples(&cluster);
    let node = cluster.node(0).address;
    let (objects, chosen) = (world.seen(&cluster.api(0)), world.chosen(node, &tuples));
    let mut session = Session::open(cluster.listener(0, world.port), cluster.addresses().client(9)).expect("opens");
    let config = config(&cluster.data_dir(0));

    let refused = guideway(&config, &["recover", "--yes"]).expect_err("nothing is lost");
    assert!(refused.contains("3 of 3 voters answer"), "{refused}");
    let file = cluster.directory().join("before.backup");
    let said = guideway(&config, &["backup", "--to", &file.to_string_lossy()]).expect("a backup");
    assert!(said.contains("1 sealed Secrets"), "{said}");

    for index in [1, 2] {
        cluster.kill(index);
        std::fs::remove_dir_all(cluster.data_dir(index)).expect("its disk is gone");
    }
    session.echo("without a quorum").expect("the session lives");
    let told = guideway(&config, &["recover"]).expect_err("it is only said what would be lost");
    for part in ["node-2", "node-3", "does not answer", "log index", "--yes"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let pid = cluster.node(0).pid;
    let done = guideway(&config, &["recover", "--yes"]).expect("it is recovered");
    assert!(done.contains("is the only member now"), "{done}");
    cluster.assert_running(&[0]);
    assert_eq!(cluster.node(0).pid, pid);
    session.echo("alone").expect("the session lives");
    // Writes go on, which takes a quorum.
    cluster.api(0).apply(&manifest::service("after", 80));

    let mut joined: Vec<Member> = Vec::new();
    for (number, name) in [(20, "node-4"), (21, "node-5")] {
        let mut member = Member::prepare(cluster.directory(), name, cluster.addresses().endpoint(number));
        member.join(&config);
        member.start();
        session.echo(name).expect("the session lives");
        joined.push(member);
    }
    let apis: Vec<Api> = joined.iter().map(Member::api).chain([cluster.api(0)]).collect();
    for api in &apis {
        wait::until("three voters", || api.voters(3));
        assert_eq!(world.seen(api), objects, "every object is there");
    }
    let nodes: Vec<IpAddr> = joined
        .iter()
        .map(|member| member.address().into())
        .chain([node])
        .collect();
    for node in nodes {
        assert_eq!(
            world.chosen(node, &tuples),
            chosen,
            "endpoints are chosen as before through {node}"
        );
    }
    session.echo("at the end").expect("the session lived through all of it");
    // The rebuilt node is one like any other: the new ones go on without it.
    cluster.kill(0);
    let api = joined[0].api();
    wait::until("the new ones agree on a write", || {
        let answer = api
            .create(&manifest::service("later", 80))
            .map_err(|error| error.to_string())?;
        match answer.status {
            201 | 409 => Ok(()),
            status => Err(format!("{status}: {}", answer.text())),
        }
    });
    assert_eq!(world.endpoints.len(), usize::from(ENDPOINTS));
}

#[test]
fn a_backup_is_restored_where_everything_is_lost() {
    let mut cluster = Cluster::start();
    let world = World::make(&cluster);
    let tuples = tuples(&cluster);
    let node = cluster.node(0).address;
    let (objects, chosen) = (world.seen(&cluster.api(0)), world.chosen(node, &tuples));
    let config = config(&cluster.data_dir(0));
    let [file, stopped, kept] =
        ["running.backup", "stopped.backup", "identity"].map(|name| cluster.directory().join(name));
    guideway(&config, &["backup", "--to", &file.to_string_lossy()]).expect("a backup");
    copy(&cluster.data_dir(0).join("identity"), &kept);
    for index in 0..3 {
        cluster.kill(index);
    }
    let busy = guideway(&config, &["backup", "--to", &stopped.to_string_lossy()]).expect_err("nobody answers");
    assert!(busy.contains("--stopped"), "{busy}");
    let said = guideway(&config, &["backup", "--stopped", "--to", &stopped.to_string_lossy()]).expect("a backup");
    assert!(said.contains("1 sealed Secrets"), "{said}");
    for bytes in [&file, &stopped].map(|file| std::fs::read(file).expect("a file")) {
        for text in ["a word to keep", "YSB3b3JkIHRvIGtlZX"] {
            assert!(
                !String::from_utf8_lossy(&bytes).contains(text),
                "Secrets are sealed in a backup"
            );
        }
    }

    let mut member = Member::prepare(cluster.directory(), "phoenix", cluster.addresses().endpoint(20));
    let restore = |from: &Path, identity: Option<&Path>| {
        let (from, identity) = (from.to_string_lossy(), identity.map(Path::to_string_lossy));
        let mut arguments = vec!["restore", "--from", &from];
        arguments.extend(identity.iter().flat_map(|identity| ["--identity", identity.as_ref()]));
        member.guideway(&arguments)
    };
    let refused = restore(&stopped, None).expect_err("Secrets need their key");
    assert!(
        refused.contains("1 sealed Secrets") && refused.contains("--identity"),
        "{refused}"
    );
    let refused = restore(&config, Some(&kept)).expect_err("it is no backup");
    assert!(refused.contains("is no backup of Guideway"), "{refused}");
    let mut damaged = std::fs::read(&file).expect("a file");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let bad = cluster.directory().join("damaged.backup");
    std::fs::write(&bad, damaged).expect("written");
    let refused = restore(&bad, Some(&kept)).expect_err("it is damaged");
    assert!(refused.contains("is damaged"), "{refused}");
    restore(&stopped, Some(&kept)).expect("it is restored");
    let again = restore(&stopped, Some(&kept)).expect_err("the folder is not empty any more");
    assert!(again.contains("holds node"), "{again}");

    member.start();
    let api = member.api();
    api.voters(1).expect("it is alone");
    assert_eq!(world.seen(&api), objects, "every object is there, Secrets open");
    assert_eq!(
        world.chosen(member.address().into(), &tuples),
        chosen,
        "endpoints are chosen as before"
    );
    let mut second = Member::prepare(cluster.directory(), "second", cluster.addresses().endpoint(21));
    second.join(member.config());
    second.start();
    assert_eq!(world.seen(&second.api()), objects, "a node that joins has them too");
}

#[test]
fn a_node_that_does_not_run_is_recovered_too() {
    let mut cluster = Cluster::start();
    let world = World::make(&cluster);
    let objects = world.seen(&cluster.api(0));
    let config = config(&cluster.data_dir(0));
    for index in 0..3 {
        cluster.kill(index);
    }
    let told = guideway(&config, &["recover"]).expect_err("it is only said what would be lost");
    assert!(told.contains("node-2") && told.contains("node-3"), "{told}");
    let done = guideway(&config, &["recover", "--yes"]).expect("it is recovered");
    assert!(done.contains("guideway run"), "{done}");
    cluster.restart(0);
    let api = cluster.api(0);
    wait::until("it is alone", || api.voters(1));
    assert_eq!(world.seen(&api), objects, "every object is there");
    api.apply(&manifest::service("after", 80));
}

fn config(data_dir: &Path) -> std::path::PathBuf {
    data_dir.parent().expect("a node has a folder").join("guideway.toml")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Client addresses and ports that are free now; the block's client addresses belong to this test alone.
fn tuples(cluster: &Cluster) -> Vec<SocketAddr> {
    let sockets: Vec<TcpListener> = (0..TUPLES)
        .map(|number| {
            let client = cluster.addresses().client(u8::try_from(number % 4).expect("below 4"));
            TcpListener::bind((client, 0)).expect("a loopback address has free ports")
        })
        .collect();
    let addresses = sockets
        .iter()
        .map(|socket| socket.local_addr().expect("a bound socket has an address"));
    addresses.collect()
}
