//! Whether a request comes from a page of this API's own, so that no other page makes a browser act for its user.
//!
//! What a browser adds by itself, a cookie or a certificate, says who it is and not what they want. Browsers say which
//! page asks: `Sec-Fetch-Site` (W3C Fetch Metadata) where the address is one of TLS or of loopback, `Origin` (RFC 6454)
//! elsewhere. No page can write either.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

/// The header that the dashboard sends along: another page cannot without being asked for by CORS, which is not served.
pub(crate) const PAGE: &str = "x-guideway-page";

/// Which page has a browser ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// One of ours.
    Own,
    /// Another.
    Foreign,
    /// That is not said: it is no browser, or one whose user has typed the address.
    Unsaid,
}

impl Origin {
    /// Reads it off a request.
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Origin {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        match text("sec-fetch-site") {
            Some("same-origin") => return Origin::Own,
            Some("none") => return Origin::Unsaid,
            Some(_) => return Origin::Foreign,
            None => {}
        }
        let Some(origin) = text(ORIGIN.as_str()) else {
            return Origin::Unsaid;
        };
        let asked = uri
            .authority()
            .map(|authority| authority.as_str())
            .or(text(HOST.as_str()));
        let page = origin.split_once("://").map(|(_, authority)| authority);
        match (page, asked) {
            (Some(page), Some(asked)) if page.eq_ignore_ascii_case(asked) => Origin::Own,
            _ => Origin::Foreign,
        }
    }
}

/// Whether the browser reached us by TLS although we see none: a proxy on this machine ends it.
pub(crate) fn is_by_tls(headers: &HeaderMap) -> bool {
    headers
        .get(ORIGIN)
        .is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// Whether the dashboard's own header is there.
pub(crate) fn is_from_page(headers: &HeaderMap) -> bool {
    headers.get(PAGE).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(headers: &[(&'static str, &str)]) -> Origin {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        Origin::of(&Uri::from_static("/api"), &map)
    }

    #[test]
    fn what_browsers_say_goes_before_what_can_be_compared() {
        let own = ("origin", "https://box-1:7443");
        let host = ("host", "box-1:7443");
        for (headers, expected) in [
            (vec![], Origin::Unsaid),
            (vec![host], Origin::Unsaid),
            (vec![("sec-fetch-site", "none")], Origin::Unsaid),
            (
                vec![("sec-fetch-site", "same-origin"), ("origin", "https://proxy")],
                Origin::Own,
            ),
            (vec![("sec-fetch-site", "same-site"), own, host], Origin::Foreign),
            (vec![("sec-fetch-site", "cross-site")], Origin::Foreign),
            (vec![("sec-fetch-site", "new-word"), own, host], Origin::Foreign),
            (vec![own, host], Origin::Own),
            (vec![own, ("host", "BOX-1:7443")], Origin::Own),
            (vec![own, ("host", "box-1")], Origin::Foreign),
            (vec![own, ("host", "box-1:7444")], Origin::Foreign),
            (vec![("origin", "https://box-1:7443.evil.test"), host], Origin::Foreign),
            (vec![("origin", "null"), host], Origin::Foreign),
            (vec![own], Origin::Foreign),
        ] {
            assert_eq!(origin(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_address_of_http_2_is_compared_too() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, "https://box-1:7443".parse().expect("a value"));
        let ask = |uri: &'static str| Origin::of(&Uri::from_static(uri), &headers);
        assert_eq!(ask("https://box-1:7443/api"), Origin::Own);
        assert_eq!(ask("https://box-2:7443/api"), Origin::Foreign);
    }
}
