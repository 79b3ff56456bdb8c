//! Version, health, readiness.

use guideway_api::ports::ReadinessCheck;

use crate::client::Client;
use crate::cluster::Server;

#[tokio::test]
async fn version_is_one_that_clients_parse() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let version = client.get("/version").await.expect(200);
    assert_eq!(version["gitVersion"], "v1.32.0+guideway-0.1.0");
    assert_eq!((&version["major"], &version["minor"]), (&"1".into(), &"32".into()));
}

#[tokio::test]
async fn readiness_names_what_is_waited_for() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = client.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "ok"), "{path}");
    }
    let answer = client.get("/readyz?verbose").await;
    assert_eq!(answer.text, "[+]caught-up ok\nreadyz check passed\n");

    *server.cluster.readiness.lock().expect("lock") = vec![
        ReadinessCheck {
            name: "ping",
            result: Ok(()),
        },
        ReadinessCheck {
            name: "caught-up",
            result: Err("applied 5 of 9".to_owned()),
        },
    ];
    let answer = client.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.text,
        "[+]ping ok\n[-]caught-up failed: applied 5 of 9\nreadyz check failed\n"
    );
    assert_eq!(client.get("/livez").await.status, 200);
}
