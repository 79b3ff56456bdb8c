//! Promise: someone with a role in one namespace works in it through any node, and reaches, sees and learns nothing of
//! others: not their listeners, their Secrets or whether they exist, their sessions, or what was done to them. When the
//! role or the sign-in is taken away, whatever goes on by it ends on every node.
//!
//! Needs kubectl and the tools: curl.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use guideway_chaos_tests::kubectl::Kubectl;
use guideway_chaos_tests::process::Process;
use guideway_chaos_tests::traffic::{Answer, Session};
use guideway_chaos_tests::{Cluster, Endpoint, binary, manifest, program, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A cluster with the namespaces `bank` and `shop`, and jane, who is `admin` in `shop`.
struct Tenancy {
    cluster: Cluster,
    admin: Kubectl,
    token: String,
    authority: PathBuf,
    folder: TempDir,
}

#[test]
fn a_tenant_stays_in_its_namespace_on_every_node() {
    let tenancy = Tenancy::start();
    listeners_of_others_are_not_to_be_had(&tenancy);
    secrets_of_others_are_not_read_and_may_be_there_or_not(&tenancy);
    sessions_and_events_of_others_are_not_seen(&tenancy);
    a_dashboard_is_signed_in_at_every_node(&tenancy);
    what_goes_on_ends_with_the_role(&tenancy);
}

fn listeners_of_others_are_not_to_be_had(tenancy: &Tenancy) {
    let cluster = &tenancy.cluster;
    let api = cluster.api(0);
    let endpoint = Endpoint::start("jane", cluster.addresses().endpoint(0));
    let [own, shared] = [cluster.free_port(), cluster.free_port()];
    let everyone = json!({"namespaces": {"from": "All"}});
    let listeners = json!([
        {"name": "own", "port": own, "protocol": "TCP"},
        {"name": "shared", "port": shared, "protocol": "TCP", "allowedRoutes": everyone},
    ]);
    let gateway = placed(manifest::gateway_with("edge", listeners), "bank");
    api.apply(&gateway);
    api.apply(&placed(manifest::service("till", 80), "bank"));
    api.wait_condition(&gateway, "Programmed", "True");

    let jane = tenancy.jane(1);
    jane.apply(
        "backend",
        &placed(manifest::backend("b", &[endpoint.address()]), "shop").to_string(),
    )
    .expect("it is her namespace");
    for (name, section, to) in [
        (
            "intruder",
            "own",
            json!({"group": "guideway.dev", "kind": "Backend", "name": "b"}),
        ),
        (
            "guest",
            "shared",
            json!({"group": "guideway.dev", "kind": "Backend", "name": "b"}),
        ),
        (
            "thief",
            "shared",
            json!({"name": "till", "namespace": "bank", "port": 80}),
        ),
    ] {
        let mut route = placed(manifest::tcp_route(name, "edge", section, &[]), "shop");
        route["spec"]["parentRefs"][0]["namespace"] = "bank".into();
        route["spec"]["rules"][0]["backendRefs"] = json!([to]);
        jane.apply(name, &route.to_string()).expect("she may write routes");
        match name {
            "intruder" => api.wait_parent_condition(&route, "Accepted", "False", "NotAllowedByListeners"),
            "guest" => api.wait_parent_condition(&route, "Accepted", "True", "Accepted"),
            _ => api.wait_parent_condition(&route, "ResolvedRefs", "False", "RefNotPermitted"),
        };
        if name == "guest" {
            cluster.wait_traffic(&[0, 1, 2], shared, "jane's endpoint", |answer| {
                *answer == Answer::Label("jane".to_owned())
            });
            cluster.wait_traffic(&[0, 1, 2], own, "nobody", |answer| {
                *answer != Answer::Label("jane".to_owned())
            });
        }
    }
    // The Gateway itself is not hers to read.
    tenancy.refused(&["get", "gateway", "edge", "-n", "bank"]);
    tenancy.refused(&["delete", "gateway", "edge", "-n", "bank"]);
}

fn secrets_of_others_are_not_read_and_may_be_there_or_not(tenancy: &Tenancy) {
    let secret = ["create", "secret", "generic", "--from-literal=key=value"];
    tenancy.admin.must(&[&secret[..], &["there", "-n", "bank"]].concat());
    tenancy.jane(2).must(&[&secret[..], &["own", "-n", "shop"]].concat());
    tenancy.cluster.wait_caught_up(&[2, 0, 1]);
    for node in 0..3 {
        let jane = tenancy.jane(node);
        jane.must(&["get", "secret", "own", "-n", "shop"]);
        for verb in ["get", "delete"] {
            let answers = ["there", "gone"].map(|name| {
                let refused = jane.run(&[verb, "secret", name, "-n", "bank"]);
                refused.expect_err("it is not hers").replace(name, "NAME")
            });
            assert_eq!(answers[0], answers[1], "through node {node}");
            assert!(answers[0].contains("(Forbidden)"), "{}", answers[0]);
        }
        let answers = ["bank", "nowhere"].map(|place| {
            let refused = jane.run(&["get", "secrets", "-n", place]);
            refused.expect_err("it is not hers").replace(place, "PLACE")
        });
        assert_eq!(answers[0], answers[1], "nor is told whether there is such a namespace");
    }
    tenancy.refused(&["get", "secrets", "-A"]);
    tenancy.refused(&["get", "secrets", "-n", "bank", "-w"]);
}

fn sessions_and_events_of_others_are_not_seen(tenancy: &Tenancy) {
    let cluster = &tenancy.cluster;
    let api = cluster.api(0);
    let endpoint = Endpoint::start("bank", cluster.addresses().endpoint(1));
    let port = cluster.free_port();
    let gateway = placed(manifest::gateway("vault", &[("main", port)]), "bank");
    api.apply(&gateway);
    api.apply(&placed(manifest::backend("vault", &[endpoint.address()]), "bank"));
    api.apply(&placed(
        manifest::tcp_route_to_backend("vault", "vault", "main", "vault"),
        "bank",
    ));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&[0, 1, 2], port, "the bank's endpoint", |answer| {
        *answer == Answer::Label("bank".to_owned())
    });
    let session = Session::open(cluster.listener(2, port), cluster.addresses().client(0)).expect("a session");
    let name = wait::until("the session is listed", || {
        let list = tenancy.admin.run(&["get", "sessions", "-n", "bank", "-o", "name"])?;
        let name = list.lines().next().ok_or("no session")?;
        Ok(name.rsplit('/').next().unwrap_or_default().to_owned())
    });
    for arguments in [
        &["get", "sessions", "-n", "bank"][..],
        &["get", "sessions", "-A"],
        &["delete", "session", &name, "-n", "bank"],
        &["get", "events", "-n", "bank"],
        &["get", "events", "-A"],
    ] {
        tenancy.refused(arguments);
    }
    // By its name it is not found in her namespace either.
    let other = tenancy.jane(0).run(&["get", "session", &name, "-n", "shop"]);
    assert!(other.expect_err("it is not there").contains("(NotFound)"));
    tenancy.admin.must(&["delete", "session", &name, "-n", "bank"]);
    drop(session);
    // Who closed it is shown with the route, whichever node is asked, and to nobody else.
    for node in 0..3 {
        let admin = tenancy.kubectl(node, None);
        let described = wait::until("the event is shown", || {
            let text = admin.run(&["describe", "tcproute", "vault", "-n", "bank"])?;
            if text.contains("SessionsClosed") {
                Ok(text)
            } else {
                Err(text)
            }
        });
        assert!(described.contains("admin closed 1 session"), "{described}");
        let own = tenancy.jane(node).must(&["get", "events", "-n", "shop", "-o", "name"]);
        assert_eq!(own, "");
    }
}

fn a_dashboard_is_signed_in_at_every_node(tenancy: &Tenancy) {
    let token = tenancy.guideway(&["token", "create", "joe", "--group", "system:masters"]);
    let bearer = format!("Authorization: Bearer {token}");
    let page = ["-H", "Sec-Fetch-Site: same-origin", "-H", "X-Guideway-Page: dashboard"];
    tenancy.cluster.wait_caught_up(&[0, 1, 2]);
    let answer = tenancy.curl(
        0,
        "/sign-in",
        &[&["-X", "POST", "-H", &bearer, "-i"], &page[..]].concat(),
    );
    let cookie = answer
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next())
        .unwrap_or_else(|| panic!("no cookie in {answer}"));
    let cookie = format!("Cookie: {cookie}");
    let code = |node, method: &str| {
        let path = "/api/v1/namespaces/default/services";
        let asked = ["-X", method, "-H", &cookie, "-o", "/dev/null", "-w", "%{http_code}"];
        tenancy.curl(node, path, &asked)
    };
    for node in 0..3 {
        assert_eq!(code(node, "GET"), "200", "at node {node}");
        assert_eq!(code(node, "DELETE"), "403", "a cookie alone changes nothing");
    }
    let id = token.split('_').nth(1).expect("an id");
    tenancy.guideway(&["token", "revoke", id]);
    for node in 0..3 {
        wait::until("the cookie has ended", || match code(node, "GET").as_str() {
            "401" => Ok(()),
            other => Err(other.to_owned()),
        });
    }
}

fn what_goes_on_ends_with_the_role(tenancy: &Tenancy) {
    let kubeconfig = tenancy.kubeconfig(1, Some(&tenancy.token));
    let kubectl = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let watching = |resource: &str| {
        let kubeconfig = kubeconfig.display().to_string();
        Process::start(
            &kubectl,
            [
                "--kubeconfig",
                &kubeconfig,
                "get",
                resource,
                "-n",
                "shop",
                "-w",
                "-o",
                "name",
            ],
        )
    };
    let mut watches = ["configmaps", "sessions"].map(watching);
    tenancy.admin.must(&["create", "configmap", "before", "-n", "shop"]);
    wait::until("the watch tells", || {
        let tail = watches[0].tail();
        if tail.contains("configmap/before") {
            Ok(())
        } else {
            Err(tail)
        }
    });
    tenancy.admin.must(&["delete", "rolebinding", "jane", "-n", "shop"]);
    tenancy.admin.must(&["create", "configmap", "after", "-n", "shop"]);
    for watch in &mut watches {
        // Long before a watch ends by itself, which is after 45 minutes.
        watch.wait();
        let tail = watch.tail();
        assert!(!tail.contains("configmap/after"), "{tail}");
    }
}

impl Tenancy {
    fn start() -> Tenancy {
        let cluster = Cluster::start();
        let folder = tempfile::tempdir().expect("a folder");
        let admin = Kubectl::new(cluster.kubeconfig());
        for name in ["bank", "shop"] {
            admin.must(&["create", "namespace", name]);
        }
        let binding = [
            "create",
            "rolebinding",
            "jane",
            "--clusterrole=admin",
            "--user=jane",
            "-n",
            "shop",
        ];
        admin.must(&binding);
        let text = std::fs::read_to_string(cluster.kubeconfig()).expect("a kubeconfig");
        let data = field(&text, "certificate-authority-data");
        let authority = folder.path().join("authority.pem");
        let pem = BASE64_STANDARD.decode(data).expect("base64");
        std::fs::write(&authority, pem).expect("written");
        let mut tenancy = Tenancy {
            cluster,
            admin,
            token: String::new(),
            authority,
            folder,
        };
        tenancy.token = tenancy.guideway(&["token", "create", "jane"]);
        tenancy.cluster.wait_caught_up(&[0, 1, 2]);
        tenancy
    }

    /// As the administrator, or as the bearer of a token, through one node.
    fn kubectl(&self, node: usize, token: Option<&str>) -> Kubectl {
        Kubectl::new(&self.kubeconfig(node, token))
    }

    fn jane(&self, node: usize) -> Kubectl {
        self.kubectl(node, Some(&self.token))
    }

    fn kubeconfig(&self, node: usize, token: Option<&str>) -> PathBuf {
        let text = std::fs::read_to_string(self.cluster.kubeconfig()).expect("a kubeconfig");
        let user = match token {
            Some(token) => json!({"token": token}),
            None => json!({
                "client-certificate-data": field(&text, "client-certificate-data"),
                "client-key-data": field(&text, "client-key-data"),
            }),
        };
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": self.cluster.node(node).api,
                "certificate-authority-data": field(&text, "certificate-authority-data"),
            }}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        let who = token.map_or("admin", |_| "jane");
        let path = self.folder.path().join(format!("{who}-{node}"));
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// Jane may not, through any node.
    fn refused(&self, arguments: &[&str]) {
        for node in 0..3 {
            let refused = self.jane(node).run(arguments).expect_err("it is not hers");
            assert!(
                refused.contains("(Forbidden)"),
                "{arguments:?} through node {node}: {refused}"
            );
        }
    }

    /// The last line that a command of the administrator prints.
    fn guideway(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary::guideway());
        command
            .args(arguments)
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig());
        let printed = program::must(&mut command);
        printed.lines().last().unwrap_or_default().to_owned()
    }

    fn curl(&self, node: usize, path: &str, arguments: &[&str]) -> String {
        let mut command = program::command("curl");
        let url = format!("{}{path}", self.cluster.node(node).api);
        command
            .args(["--silent", "--show-error", "--cacert"])
            .arg(&self.authority);
        program::must(command.args(arguments).arg(url))
    }
}

/// The value of a field in a kubeconfig as `guideway` writes it.
fn field(kubeconfig: &str, name: &str) -> String {
    let mut lines = kubeconfig.lines();
    let value = lines.find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
    value
        .unwrap_or_else(|| panic!("no {name}"))
        .trim_matches('"')
        .to_owned()
}

fn placed(mut object: Value, namespace: &str) -> Value {
    object["metadata"]["namespace"] = namespace.into();
    object
}
