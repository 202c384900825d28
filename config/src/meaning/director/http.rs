//! Readers of what only `HTTP_GET` and `SSL_GET` have, and of `SSL`.

use vipd_engine::config::health::{HttpProtocol, Url};

use super::draft::{HttpDraft, KindDraft, PatternDraft, SslDraft, UrlDraft};
use crate::meaning::draft::{Origins, Placed};
use crate::meaning::{Draft, Line};

/// Status codes that are good unless configured.
const GOOD_STATUS: (u16, u16) = (200, 299);

pub(super) fn new(tls: bool) -> HttpDraft {
    HttpDraft {
        tls,
        protocol: HttpProtocol::V1_0,
        fast_recovery: false,
        sni: false,
        sni_name: None,
        urls: Vec::new(),
    }
}

fn http_of(draft: &mut Draft) -> Option<&mut HttpDraft> {
    match &mut draft.check().kind {
        KindDraft::Http(http) => Some(http),
        KindDraft::Tcp
        | KindDraft::Smtp { .. }
        | KindDraft::Dns { .. }
        | KindDraft::Misc(_)
        | KindDraft::Ping
        | KindDraft::Udp(_)
        | KindDraft::File(_) => None,
    }
}

pub(crate) fn protocol(draft: &mut Draft, line: &mut Line<'_>) {
    let read = line.choice_of_any_case(&HttpProtocol::NAMES);
    if let (Some((read, _)), Some(http)) = (read, http_of(draft)) {
        http.protocol = read;
    }
}

pub(crate) fn fast_recovery(draft: &mut Draft, line: &mut Line<'_>) {
    let read = line.flag();
    if let (Some(read), Some(http)) = (read, http_of(draft)) {
        http.fast_recovery = read;
    }
}

pub(crate) fn enable_sni(draft: &mut Draft, line: &mut Line<'_>) {
    let at = line.span();
    let Some(http) = http_of(draft) else { return };
    if http.tls {
        http.sni = true;
    } else {
        line.adjusted(at, "HTTP_GET has no TLS to name a host in".to_owned(), "it has no effect");
    }
}

pub(crate) fn sni_name(draft: &mut Draft, line: &mut Line<'_>) {
    let name = line.word().map(|word| word.text.clone());
    if let Some(http) = http_of(draft) {
        http.sni_name = name;
    }
}

pub(crate) fn url(draft: &mut Draft, line: &mut Line<'_>) {
    let url = Url {
        path: String::new(),
        virtualhost: None,
        status: Vec::new(),
        digest: None,
        pattern: None,
    };
    let origins = Origins { block: Some(line.statement.span()), ..Origins::default() };
    if let Some(http) = http_of(draft) {
        http.urls.push(UrlDraft { url, pattern: PatternDraft::default(), origins });
    }
}

pub(crate) fn path(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    if !word.text.starts_with('/') {
        line.invalid(word, "does not begin with `/`", None);
    }
    draft.url().url.path.clone_from(&word.text);
}

/// MD5 as 32 hexadecimal digits.
pub(crate) fn digest(draft: &mut Draft, line: &mut Line<'_>) {
    let Some(word) = line.word() else { return };
    let digits: Option<Vec<u8>> =
        word.text.chars().map(|letter| letter.to_digit(16).map(|digit| digit as u8)).collect();
    let octets: Option<[u8; 16]> = digits.and_then(|digits| {
        let pairs = digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0));
        let octets: Vec<u8> = pairs.collect();
        octets.try_into().ok().filter(|_| digits.len() == 32)
    });
    match octets {
        Some(octets) => draft.url().url.digest = Some(octets),
        None => line.invalid(word, "is no MD5 digest of 32 hexadecimal digits", None),
    }
}

/// `N[-N] ...`.
pub(crate) fn status_code(draft: &mut Draft, line: &mut Line<'_>) {
    if line.peek().is_none() {
        line.word();
    }
    while let Some(word) = line.next() {
        let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 100 <= first && first <= last && last <= 599 => {
                draft.url().url.status.push((first, last));
            }
            _ => line.invalid(word, "is no status code or range of 100 to 599", None),
        }
    }
}

/// The codes of a url that names none.
pub(super) fn status(url: &Url) -> Vec<(u16, u16)> {
    if url.status.is_empty() { vec![GOOD_STATUS] } else { url.status.clone() }
}

pub(crate) fn url_virtualhost(draft: &mut Draft, line: &mut Line<'_>) {
    draft.url().url.virtualhost = line.word().map(|word| word.text.clone());
}

pub(crate) fn regex(draft: &mut Draft, line: &mut Line<'_>) {
    let expression = line.word().map(|word| (word.text.clone(), word.span));
    draft.url().pattern.expression = expression;
}

pub(crate) fn regex_no_match(draft: &mut Draft, _line: &mut Line<'_>) {
    draft.url().pattern.must_not_match = true;
}

pub(crate) fn regex_min_offset(draft: &mut Draft, line: &mut Line<'_>) {
    if let Some(offset) = line.integer_in(0..=super::MOST) {
        draft.url().pattern.min_offset = offset as u32;
    }
}

pub(crate) fn regex_max_offset(draft: &mut Draft, line: &mut Line<'_>) {
    let offset = line.integer_in(0..=super::MOST);
    draft.url().pattern.max_offset = offset.map(|offset| offset as u32);
}

/// `SSL`, outside any block.
pub(crate) fn ssl(draft: &mut Draft, line: &mut Line<'_>) {
    draft.director.ssl = Some(Placed::new(SslDraft::default(), line.statement.span()));
}

/// A reader of a path in `SSL`.
macro_rules! ssl_path {
    ($($name:ident => $field:ident),*) => { $(
        pub(crate) fn $name(draft: &mut Draft, line: &mut Line<'_>) {
            let path = line.word().map(|word| word.text.clone());
            if let Some(ssl) = &mut draft.director.ssl {
                ssl.value.$field = path;
            }
        }
    )* };
}

ssl_path!(ca => authorities, certificate => certificate, key => key);
