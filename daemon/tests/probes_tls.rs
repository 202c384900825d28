//! `SSL_GET`, to servers on loopback with certificates that are made here.

mod checked;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, version};
use vipd_engine::config::health::{Check, Tls};
use vipd_engine::health::{Failure, LocalError, Outcome, TlsFailure};

use checked::{Checks, Folder, LONG, PAGE, SHORT, http, page, pours, request, server};

/// What a server shows: a certificate, its key, both as PEM.
#[derive(Clone)]
struct Shown {
    certificate: String,
    key: String,
}

/// Valid from now on for long, or only long ago.
fn params(is_old: bool) -> CertificateParams {
    let mut params = CertificateParams::new(["www.example".to_string()]).expect("a name");
    if is_old {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    params
}

fn self_signed(params: &CertificateParams) -> Shown {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    Shown { certificate, key: key.serialize_pem() }
}

/// As `openssl req -x509` makes them.
fn own_authority(is_old: bool) -> Shown {
    let mut params = params(is_old);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    self_signed(&params)
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

fn signed(by: &Authority, is_old: bool) -> Shown {
    let key = KeyPair::generate().expect("a key");
    let certificate = params(is_old).signed_by(&key, by).expect("a certificate");
    Shown { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// How a server speaks TLS.
#[derive(Default)]
struct Speaks {
    /// Only this version.
    only: Option<&'static rustls::SupportedProtocolVersion>,
    /// Clients must show a certificate of this authority.
    demands: Option<String>,
}

fn config(shown: &Shown, speaks: &Speaks) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions =
        speaks.only.map_or_else(|| vec![&version::TLS12, &version::TLS13], |one| vec![one]);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .expect("versions");
    let builder = match &speaks.demands {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let chain = CertificateDer::pem_slice_iter(shown.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("PEM");
    Arc::new(builder.with_single_cert(chain, key).expect("a certificate"))
}

/// A server that speaks TLS; what comes out is the name that it was asked for.
fn speaks(
    shown: &Shown,
    speaks: &Speaks,
    does: fn(&mut StreamOwned<ServerConnection, TcpStream>),
) -> (u16, Receiver<Option<String>>) {
    let config = config(shown, speaks);
    server(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = StreamOwned::new(session, stream);
        does(&mut stream);
        stream.conn.server_name().map(str::to_string)
    })
}

fn answers_page(stream: &mut StreamOwned<ServerConnection, TcpStream>) {
    let _ = request(stream);
    let _ = stream.write_all(PAGE.as_bytes());
    let _ = io::copy(stream, &mut io::sink());
}

fn plain() -> Tls {
    Tls::default()
}

fn trusting(file: &str) -> Tls {
    Tls { authorities: Some(file.to_string()), ..Tls::default() }
}

fn ssl(tls: Tls, port: u16) -> Check {
    http(page(Some(tls)), port)
}

const fn bad(failure: TlsFailure) -> Outcome {
    Outcome::Bad(Failure::Tls(failure))
}

#[tokio::test]
async fn without_an_authority_nothing_that_a_server_shows_is_looked_at() {
    let mut checks = Checks::new();
    for shown in [self_signed(&params(false)), self_signed(&params(true)), own_authority(true)] {
        let (port, came) = speaks(&shown, &Speaks::default(), answers_page);
        assert_eq!(checks.outcome(ssl(plain(), port)).await, Outcome::GOOD);
        assert_eq!(came.recv_timeout(LONG), Ok(None), "no name is sent");
    }
    for only in [&version::TLS12, &version::TLS13] {
        let speaking = Speaks { only: Some(only), ..Speaks::default() };
        let (port, _came) = speaks(&self_signed(&params(false)), &speaking, answers_page);
        assert_eq!(checks.outcome(ssl(plain(), port)).await, Outcome::GOOD, "{only:?}");
    }
}

#[tokio::test]
async fn with_an_authority_a_certificate_descends_from_it_and_is_valid_now() {
    let (mut checks, folder) = (Checks::new(), Folder::new("tls-authority"));
    let (ours, other) = (authority(), authority());
    let file = folder.write("ca.pem", &ours.pem());
    let table = [
        (signed(&ours, false), Outcome::GOOD),
        (signed(&other, false), bad(TlsFailure::Untrusted)),
        (self_signed(&params(false)), bad(TlsFailure::Untrusted)),
        (signed(&ours, true), bad(TlsFailure::OutOfDate)),
    ];
    for (shown, wanted) in table {
        let (port, _came) = speaks(&shown, &Speaks::default(), answers_page);
        assert_eq!(checks.outcome(ssl(trusting(&file), port)).await, wanted);
    }
    // A server's own certificate may be all that is trusted, as an authority or not.
    for shown in [self_signed(&params(false)), own_authority(false)] {
        let file = folder.write("own.pem", &shown.certificate);
        checks.settings.configure(&nothing());
        let (port, _came) = speaks(&shown, &Speaks::default(), answers_page);
        assert_eq!(checks.outcome(ssl(trusting(&file), port)).await, Outcome::GOOD);
        let (port, _came) = speaks(&own_authority(false), &Speaks::default(), answers_page);
        let outcome = checks.outcome(ssl(trusting(&file), port)).await;
        assert_eq!(outcome, bad(TlsFailure::Untrusted));
    }
    let old = own_authority(true);
    let file = folder.write("old.pem", &old.certificate);
    let (port, _came) = speaks(&old, &Speaks::default(), answers_page);
    let outcome = checks.outcome(ssl(trusting(&file), port)).await;
    assert_eq!(outcome, bad(TlsFailure::OutOfDate));
}

/// An empty file.
fn nothing() -> vipd_config::Loaded {
    let files = vipd_config::text::InMemory::new().with("/k.conf", "global_defs {\n}\n");
    let options = vipd_config::Options::default();
    vipd_config::load_from(&files, "/k.conf".as_ref(), &options).expect("it is usable")
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_as_such_and_are_read_again() {
    let (mut checks, folder) = (Checks::new(), Folder::new("tls-files"));
    let ours = authority();
    let (port, _came) = speaks(&signed(&ours, false), &Speaks::default(), answers_page);
    let path = folder.path("ca.pem").display().to_string();
    let unusable = Outcome::Local(LocalError::File);
    assert_eq!(checks.outcome(ssl(trusting(&path), port)).await, unusable, "none");
    folder.write("ca.pem", "no certificate");
    assert_eq!(checks.outcome(ssl(trusting(&path), port)).await, unusable, "nonsense");
    folder.write("ca.pem", &ours.pem());
    assert_eq!(checks.outcome(ssl(trusting(&path), port)).await, Outcome::GOOD);
    // What was read stays until the next reload.
    folder.write("ca.pem", &authority().pem());
    assert_eq!(checks.outcome(ssl(trusting(&path), port)).await, Outcome::GOOD);
    checks.settings.configure(&nothing());
    let outcome = checks.outcome(ssl(trusting(&path), port)).await;
    assert_eq!(outcome, bad(TlsFailure::Untrusted));
    let key = Tls { certificate: Some(path), key: Some("/nowhere".into()), ..plain() };
    assert_eq!(checks.outcome(ssl(key, port)).await, unusable, "no key");
}

#[tokio::test]
async fn a_server_may_demand_a_certificate_of_ours() {
    let (mut checks, folder) = (Checks::new(), Folder::new("tls-client"));
    let ours = authority();
    let shown = signed(&ours, false);
    for only in [&version::TLS12, &version::TLS13] {
        let demands = Speaks { only: Some(only), demands: Some(ours.pem()) };
        let (port, _came) = speaks(&shown, &demands, answers_page);
        let mine = signed(&ours, false);
        let with = Tls {
            certificate: Some(folder.write("own.pem", &mine.certificate)),
            key: Some(folder.write("own.key", &mine.key)),
            ..plain()
        };
        checks.settings.configure(&nothing());
        assert_eq!(checks.outcome(ssl(with, port)).await, Outcome::GOOD, "{only:?}");
        let Outcome::Bad(Failure::Tls(TlsFailure::Alert(alert))) =
            checks.outcome(ssl(plain(), port)).await
        else {
            panic!("it demands one: {only:?}");
        };
        // `certificate_required`, which TLS 1.2 does not have; there it is any of a handshake.
        assert!(alert == 116 || (only.version != version::TLS13.version), "{alert}");
    }
}

#[tokio::test]
async fn the_name_is_sent_where_the_check_says_so() {
    let mut checks = Checks::new();
    let (port, came) = speaks(&self_signed(&params(false)), &Speaks::default(), answers_page);
    let named = |sni_name: Option<&str>, virtualhost: Option<&str>| {
        let tls = Tls { sni: true, sni_name: sni_name.map(str::to_string), ..plain() };
        let mut asked = page(Some(tls));
        asked.virtualhost = virtualhost.map(str::to_string);
        http(asked, port)
    };
    let table = [
        (named(Some("a.example"), Some("b.example")), Some("a.example")),
        (named(None, Some("b.example")), Some("b.example")),
    ];
    for (check, name) in table {
        assert_eq!(checks.outcome(check).await, Outcome::GOOD);
        assert_eq!(came.recv_timeout(LONG), Ok(name.map(str::to_string)));
    }
}

#[tokio::test]
async fn a_handshake_that_comes_to_nothing_says_how() {
    let mut checks = Checks::new();
    let (nonsense, _came) = server(|mut stream| stream.write_all(PAGE.as_bytes()));
    assert_eq!(checks.outcome(ssl(plain(), nonsense)).await, bad(TlsFailure::Handshake));
    let (closes, _came) = server(|mut stream| stream.read(&mut [0; 512]));
    let closed = checks.outcome(ssl(plain(), closes)).await;
    // What it has not read it resets.
    let ways = [bad(TlsFailure::Handshake), Outcome::Bad(Failure::Reset)];
    assert!(ways.contains(&closed), "{closed:?}");
    let (alerts, _came) = server(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        // Fatal, handshake_failure.
        stream.write_all(&[21, 3, 3, 0, 2, 2, 40])
    });
    assert_eq!(checks.outcome(ssl(plain(), alerts)).await, bad(TlsFailure::Alert(40)));
    let (hangs, _came) = server(|mut stream| io::copy(&mut stream, &mut io::sink()));
    let hasty = Check { timeout: SHORT, ..ssl(plain(), hangs) };
    assert_eq!(checks.outcome(hasty).await, Outcome::Bad(Failure::TimedOut));
}

#[tokio::test]
async fn a_page_over_tls_never_ends_or_ends_without_a_word() {
    let mut checks = Checks::new();
    let shown = self_signed(&params(false));
    let (endless, _came) = speaks(&shown, &Speaks::default(), |stream| {
        let _ = request(stream);
        pours(stream);
    });
    let mut asked = page(Some(plain()));
    asked.urls[0].digest = Some([0; 16]);
    let hasty = Check { timeout: SHORT, ..http(asked, endless) };
    assert_eq!(checks.outcome(hasty).await, Outcome::Bad(Failure::TimedOut));
    // Many servers close without `close_notify`: the end of the page is the end of the page.
    let (rude, _came) = speaks(&shown, &Speaks::default(), |stream| {
        let _ = request(stream);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
    });
    let mut asked = page(Some(plain()));
    asked.urls[0].digest = Some([
        0x5d, 0x41, 0x40, 0x2a, 0xbc, 0x4b, 0x2a, 0x76, 0xb9, 0x71, 0x9d, 0x91, 0x10, 0x17, 0xc5,
        0x92,
    ]);
    assert_eq!(checks.outcome(http(asked, rude)).await, Outcome::GOOD);
}
