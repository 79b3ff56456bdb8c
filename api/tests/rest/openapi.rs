//! OpenAPI v3 over HTTP.

use hyper::Method;

use crate::client::Client;
use crate::cluster::Server;

#[tokio::test]
async fn documents_are_found_through_the_index_and_cached_by_tag() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let index = client.get("/openapi/v3").await.expect(200);
    for (_, entry) in index["paths"].as_object().expect("paths") {
        let url = entry["serverRelativeURL"].as_str().expect("URL");
        let answer = client.get(url).await;
        let document = answer.expect(200);
        assert_eq!(document["openapi"], "3.0.0");
        let tag = answer.headers["etag"].to_str().expect("text");
        let known = client.send(Method::GET, url, &[("if-none-match", tag)], "").await;
        assert_eq!(known.status, 304);
        assert_eq!(known.text, "");
    }
}
