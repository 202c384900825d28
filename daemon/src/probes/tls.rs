//! TLS of checks: what is trusted, what we show of ourselves, and what a failure means.
//!
//! As keepalived does it: without an authority (`SSL { ca }`) nothing that the server shows is
//! looked at, with one its certificate must descend from it and be valid now. Its name is not
//! compared. Nothing here is touched unless a file has an `SSL_GET`.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::warn;
use vipd_checks::ConnectionFailure;
use vipd_engine::config::health::Tls;
use vipd_engine::health::{LocalError, TlsFailure};

use super::socket::Trouble;

/// The files of a check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Files {
    authorities: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

/// What was read of files, until the next reload.
#[derive(Default)]
pub struct Configs {
    by_files: BTreeMap<Files, Result<Arc<ClientConfig>, String>>,
    /// At which reload.
    reloads: u64,
}

impl Configs {
    /// That of a check. Files that cannot be used are read again each time, and told once. They
    /// hold the servers down.
    ///
    /// # Errors
    /// [`LocalError::File`].
    pub fn of(&mut self, tls: &Tls, reloads: u64) -> Result<Arc<ClientConfig>, LocalError> {
        if self.reloads != reloads {
            self.by_files.clear();
            self.reloads = reloads;
        }
        let files = Files {
            authorities: tls.authorities.clone(),
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
        };
        if let Some(Ok(config)) = self.by_files.get(&files) {
            return Ok(Arc::clone(config));
        }
        let read = config(&files).map(Arc::new);
        if let Err(why) = &read
            && self.by_files.get(&files).and_then(|told| told.as_ref().err()) != Some(why)
        {
            warn!("no SSL_GET is made, its servers are down: {why}");
        }
        let config = read.as_ref().map(Arc::clone).map_err(|_| LocalError::File);
        self.by_files.insert(files, read);
        config
    }
}

/// What is read of the files, or why they cannot be used.
fn config(files: &Files) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match &files.authorities {
        None => Arc::new(Anyone),
        Some(path) => Arc::new(Descendants::of(path, &provider)?),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let unusable = |error: &dyn std::fmt::Display| format!("the key {key}: {error}");
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(&error))?;
            config.with_client_auth_cert(chain, secret).map_err(|error| unusable(&error))?
        }
        _ => config.with_no_client_auth(),
    };
    // Each attempt sees the whole handshake.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("the certificate {path}: {error}");
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(&error))?;
    if all.is_empty() { Err(unusable(&"there is none in it")) } else { Ok(all) }
}

/// Begins TLS on a connection. The name is sent if there is one.
///
/// # Errors
/// [`Trouble`]; a name that is none is ours.
pub async fn shake_hands(
    config: &Arc<ClientConfig>,
    name: Option<String>,
    address: IpAddr,
    stream: TcpStream,
) -> Result<Box<TlsStream<TcpStream>>, Trouble> {
    let name = match name {
        Some(name) => {
            ServerName::try_from(name).map_err(|_| Trouble::Ours(LocalError::Configuration))?
        }
        // An address is never sent.
        None => ServerName::IpAddress(address.into()),
    };
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, stream).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => failed(TlsFailure::Handshake),
        _ => trouble(&error),
    })?;
    Ok(Box::new(stream))
}

/// What it means that a stream failed, with TLS or without.
pub fn trouble(error: &io::Error) -> Trouble {
    match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        Some(error) => failed(failure(error)),
        None => Trouble::of(error),
    }
}

const fn failed(failure: TlsFailure) -> Trouble {
    Trouble::Theirs(ConnectionFailure::Tls(failure))
}

fn failure(error: &Error) -> TlsFailure {
    match error {
        Error::AlertReceived(alert) => TlsFailure::Alert(u8::from(*alert)),
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => TlsFailure::OutOfDate,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => TlsFailure::WrongName,
        Error::InvalidCertificate(_) => TlsFailure::Untrusted,
        _ => TlsFailure::Handshake,
    }
}

/// What anybody may sign with, if it is not looked at.
const ALL_SCHEMES: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// Without an authority anybody is as good as another: there is nothing to compare a signature
/// with, and a certificate that cannot even be read is no reason to drop a server.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALL_SCHEMES.to_vec()
    }
}

/// Those of an authority, and what is in its file itself.
#[derive(Debug)]
struct Descendants {
    roots: RootCertStore,
    own: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Descendants {
    fn of(path: &str, provider: &CryptoProvider) -> Result<Self, String> {
        let own = certificates(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &own {
            let added = roots.add(certificate.clone());
            added.map_err(|error| format!("the certificate {path}: {error}"))?;
        }
        Ok(Self { roots, own, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Descendants {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = ParsedCertificate::try_from(end_entity)?;
        let all = self.algorithms.all;
        let descends =
            verify_server_cert_signed_by_trust_anchor(&shown, &self.roots, intermediates, now, all);
        match descends {
            // `openssl req -x509` makes an authority of what is a server's own certificate. Its
            // time was looked at before.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if is_used_as_its_own_authority(&why.0) && self.own.contains(end_entity) => {}
            descends => descends?,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_used_as_its_own_authority(why: &Arc<dyn std::error::Error + Send + Sync>) -> bool {
    matches!(why.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}
