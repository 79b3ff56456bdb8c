//! The dashboard's sign-in: what a cookie opens, at which nodes, for how long, and to which pages.

use std::sync::Arc;
use std::time::Duration;

use guideway_api::Limits;
use guideway_identity::{ApiToken, CookieKey};
use hyper::Method;
use serde_json::{Value, json};

use crate::audit::{audited, lines};
use crate::client::{Answer, Client};
use crate::cluster::{MemoryCluster, Server};

const PATH: &str = "/sign-in";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const TOKENS: &str = "/apis/guideway.dev/v1alpha1/apitokens";
const PAGE: (&str, &str) = ("x-guideway-page", "dashboard");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Two nodes of one cluster, and the token of someone who may do everything.
async fn nodes(limits: Limits) -> ([Server; 2], ApiToken) {
    let cluster = Arc::new(MemoryCluster::new());
    let token = ApiToken::create().expect("random bytes");
    cluster.token(&token, "jane", &["system:masters"], "2999-01-01T00:00:00Z");
    let nodes = [
        Server::serving(Arc::clone(&cluster), limits.clone()).await,
        Server::serving(cluster, limits).await,
    ];
    (nodes, token)
}

async fn sign_in(server: &Server, token: &ApiToken) -> Answer {
    let client = Client::signed_in(server.address, token);
    client.send(Method::POST, PATH, &[OWN], "").await
}

/// `name=value` of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    let set = answer.headers["set-cookie"].to_str().expect("text");
    set.split(';').next().expect("a part").to_owned()
}

async fn get(server: &Server, path: &str, cookie: &str) -> Answer {
    let browser = Client::anonymous(server.address);
    browser.send(Method::GET, path, &[("cookie", cookie), OWN], "").await
}

fn map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string()
}

#[tokio::test]
async fn a_token_shown_once_opens_every_node() {
    let ([one, two], token) = nodes(Limits::default()).await;
    let answer = sign_in(&one, &token).await;
    let body = answer.expect(200);
    assert_eq!(body["user"], "jane");
    assert_eq!(body["groups"], json!(["system:masters", "system:authenticated"]));
    assert_eq!(body["token"], token.id());
    assert_eq!(answer.headers["cache-control"], "no-store");
    let set = answer.headers["set-cookie"].to_str().expect("text");
    assert!(
        set.ends_with("; Path=/; Max-Age=900; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    let secret = token.text().rsplit('_').next().expect("a secret").to_owned();
    assert!(!set.contains(&secret), "the cookie does not hold the token");
    let cookie = cookie(&answer);
    for server in [&one, &two] {
        get(server, MAPS, &cookie).await.expect(200);
        let shown = get(server, PATH, &cookie).await;
        assert_eq!(shown.expect(200)["user"], "jane");
        assert!(shown.headers.contains_key("set-cookie"), "it is renewed");
    }
    // Who one is may be asked by other means too; nothing is renewed then.
    let shown = Client::signed_in(one.address, &token).get(PATH).await;
    assert_eq!(shown.expect(200)["user"], "jane");
    assert!(!shown.headers.contains_key("set-cookie"));
    Client::anonymous(one.address).get(PATH).await.expect(401);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let ([server, _], token) = nodes(Limits::default()).await;
    let cookie = cookie(&sign_in(&server, &token).await);
    let host = server.address.to_string();
    let (own_origin, json) = (format!("http://{host}"), ("content-type", "application/json"));
    let browser = Client::anonymous(server.address);
    let refused: [&[(&str, &str)]; 6] = [
        &[],
        &[PAGE],
        &[OWN],
        &[PAGE, ("sec-fetch-site", "same-site")],
        &[PAGE, ("sec-fetch-site", "cross-site"), ("origin", &own_origin)],
        &[PAGE, ("origin", "http://127.0.0.1:1")],
    ];
    for headers in refused {
        let all = [headers, &[("cookie", &cookie), json]].concat();
        let answer = browser.send(Method::POST, MAPS, &all, map("m")).await;
        answer.expect(403);
    }
    let root = Client::new(server.address);
    let list = root.get(MAPS).await.expect(200);
    assert_eq!(list["items"], json!([]), "nothing was written");
    let taken: [(&str, &[(&str, &str)]); 2] = [("a", &[PAGE, OWN]), ("b", &[PAGE, ("origin", &own_origin)])];
    for (name, headers) in taken {
        let all = [headers, &[("cookie", &cookie), json]].concat();
        let answer = browser.send(Method::POST, MAPS, &all, map(name)).await;
        answer.expect(201);
    }
    // Reading is open to our own pages, and to programs that say nothing of pages.
    for (headers, code) in [
        (&[][..], 200),
        (&[OWN][..], 200),
        (&[("sec-fetch-site", "none")][..], 200),
        (&[("sec-fetch-site", "same-site")][..], 403),
        (&[("origin", "null")][..], 403),
    ] {
        let all = [headers, &[("cookie", cookie.as_str())]].concat();
        assert_eq!(
            browser.send(Method::GET, MAPS, &all, "").await.status,
            code,
            "{headers:?}"
        );
    }
    // A token is shown on purpose, so that it needs none of this.
    let client = Client::signed_in(server.address, &token);
    client
        .send(Method::POST, MAPS, &[json, ("sec-fetch-site", "cross-site")], map("c"))
        .await
        .expect(201);
    // But no other page signs a browser in.
    let foreign = [("sec-fetch-site", "cross-site")];
    client.send(Method::POST, PATH, &foreign, "").await.expect(403);
}

#[tokio::test]
async fn it_ends_with_its_token_at_once_and_the_browser_is_told_to_forget_it() {
    let ([one, two], token) = nodes(Limits::default()).await;
    let cookie = cookie(&sign_in(&one, &token).await);
    let root = Client::new(two.address);
    root.delete(&format!("{TOKENS}/{}", token.id())).await.expect(200);
    for server in [&one, &two] {
        let answer = get(server, MAPS, &cookie).await;
        answer.expect(401);
        let set = answer.headers["set-cookie"].to_str().expect("text");
        assert!(set.starts_with("guideway=; ") && set.contains("Max-Age=0"), "{set}");
    }
    sign_in(&one, &token).await.expect(401);
}

#[tokio::test]
async fn it_ends_with_its_life() {
    let limits = Limits {
        cookie_life: Duration::ZERO,
        ..Limits::default()
    };
    let ([server, _], token) = nodes(limits).await;
    let cookie = cookie(&sign_in(&server, &token).await);
    get(&server, MAPS, &cookie).await.expect(401);
}

#[tokio::test]
async fn while_it_is_in_use_a_newer_one_follows() {
    // Half of a life is all that it gets here, so that it is old from the first.
    let limits = Limits {
        cookie_life: Duration::from_secs(3600),
        cookie_longest: Duration::from_secs(1800),
        ..Limits::default()
    };
    let ([ageing, _], token) = nodes(limits).await;
    let old = cookie(&sign_in(&ageing, &token).await);
    // Nor would a newer one live longer.
    let answer = get(&ageing, MAPS, &old).await;
    assert!(!answer.headers.contains_key("set-cookie"));
    // A node that gives a longer life to the same cookie renews it.
    let longer = Limits {
        cookie_life: Duration::from_secs(24 * 3600),
        cookie_longest: Duration::from_secs(48 * 3600),
        ..Limits::default()
    };
    let server = Server::serving(Arc::clone(&ageing.cluster), longer).await;
    let answer = get(&server, MAPS, &old).await;
    answer.expect(200);
    let newer = cookie(&answer);
    assert_ne!(newer, old);
    let answer = get(&server, MAPS, &newer).await;
    answer.expect(200);
    assert!(!answer.headers.contains_key("set-cookie"), "a young one is good enough");
}

#[tokio::test]
async fn signing_out_ends_every_cookie_of_the_token_and_not_the_token() {
    let ([one, two], token) = nodes(Limits::default()).await;
    let first = cookie(&sign_in(&one, &token).await);
    let second = cookie(&sign_in(&two, &token).await);
    let browser = Client::anonymous(two.address);
    // No other page does it.
    let foreign = [("cookie", first.as_str()), PAGE, ("sec-fetch-site", "cross-site")];
    browser.send(Method::DELETE, PATH, &foreign, "").await.expect(403);
    get(&one, MAPS, &first).await.expect(200);
    let own = [("cookie", first.as_str()), PAGE, OWN];
    let answer = browser.send(Method::DELETE, PATH, &own, "").await;
    answer.expect(200);
    assert!(
        answer.headers["set-cookie"]
            .to_str()
            .expect("text")
            .contains("Max-Age=0")
    );
    for cookie in [&first, &second] {
        for server in [&one, &two] {
            get(server, MAPS, cookie).await.expect(401);
        }
    }
    let third = cookie(&sign_in(&one, &token).await);
    get(&two, MAPS, &third).await.expect(200);
    // As often as one likes, within a second too.
    let own = [("cookie", third.as_str()), PAGE, OWN];
    browser.send(Method::DELETE, PATH, &own, "").await.expect(200);
    get(&one, MAPS, &third).await.expect(401);
    browser.send(Method::DELETE, PATH, &[PAGE, OWN], "").await.expect(400);
}

#[tokio::test]
async fn failed_sign_ins_are_limited_and_a_good_cookie_goes_on() {
    let limits = Limits {
        failed_sign_ins: 3,
        failed_sign_in_memory: Duration::from_secs(3600),
        ..Limits::default()
    };
    let ([server, _], token) = nodes(limits).await;
    let good = cookie(&sign_in(&server, &token).await);
    let wrong = ApiToken::create().expect("random bytes");
    sign_in(&server, &wrong).await.expect(401);
    Client::anonymous(server.address)
        .send(Method::POST, PATH, &[OWN], "")
        .await
        .expect(401);
    let text = good.split_once('=').expect("a pair").1;
    let payload = text.rsplit_once('.').expect("signed").0;
    let forged = format!("guideway={}", CookieKey::from_secret(b"of another").sign(payload));
    get(&server, MAPS, &forged).await.expect(401);
    sign_in(&server, &token).await.expect(429);
    get(&server, MAPS, &forged).await.expect(429);
    get(&server, MAPS, &good).await.expect(200);
}

#[tokio::test]
async fn behind_a_proxy_that_ends_tls_the_cookie_is_for_tls_alone() {
    let ([server, _], token) = nodes(Limits::default()).await;
    let host = server.address.to_string();
    let headers = [("origin", format!("https://{host}"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = Client::signed_in(server.address, &token)
        .send(Method::POST, PATH, &headers, "")
        .await;
    answer.expect(200);
    let set = answer.headers["set-cookie"].to_str().expect("text");
    assert!(
        set.starts_with("__Host-guideway=") && set.ends_with("; Secure"),
        "{set}"
    );
    get(&server, MAPS, &cookie(&answer)).await.expect(200);
}

#[tokio::test]
async fn other_methods_are_refused_by_name() {
    let ([server, _], _) = nodes(Limits::default()).await;
    let answer = Client::anonymous(server.address).put(PATH, &json!({})).await;
    answer.expect(405);
    assert_eq!(answer.headers["allow"], "GET, POST, DELETE");
}

#[tokio::test]
async fn who_signs_in_and_out_and_fails_is_in_the_audit_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.log");
    let (server, cluster) = audited(&path).await;
    let token = ApiToken::create().expect("random bytes");
    cluster.token(&token, "jane", &[], "2999-01-01T00:00:00Z");
    let cookie = cookie(&sign_in(&server, &token).await);
    let own = [("cookie", cookie.as_str()), PAGE, OWN];
    let browser = Client::anonymous(server.address);
    browser
        .send(Method::POST, MAPS, &[("cookie", &cookie), OWN], map("m"))
        .await
        .expect(403);
    browser.send(Method::DELETE, PATH, &own, "").await.expect(200);
    get(&server, MAPS, &cookie).await.expect(401);
    let lines = lines(server, &path).await;
    let short: Vec<Value> = lines
        .iter()
        .map(|line| json!([line["event"], line["user"], line["token"], line["code"]]))
        .collect();
    assert_eq!(
        short,
        [
            json!(["sign-in", "jane", token.id(), 200]),
            json!(["sign-in-failed", "system:anonymous", null, 403]),
            json!(["sign-out", "jane", token.id(), 200]),
            json!(["sign-in-failed", "system:anonymous", null, 401]),
        ]
    );
    assert!(lines[2]["after"].as_u64() > lines[2]["before"].as_u64(), "{}", lines[2]);
    let value = cookie.split_once('=').expect("a pair").1;
    let signature = value.rsplit_once('.').expect("signed").1;
    let text = std::fs::read_to_string(&path).expect("the log is there");
    assert!(!text.contains(signature), "nothing in the log opens anything");
}
