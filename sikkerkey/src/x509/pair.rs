use std::sync::Arc;

use rustls::sign::{CertifiedKey, SigningKey};

use super::certificates::Certificates;

/// Combines a chain with the key of its first certificate, or says why they do not match.
pub(crate) fn pair(
    chain: &Certificates,
    key: Arc<dyn SigningKey>,
) -> Result<Arc<CertifiedKey>, &'static str> {
    let pair = CertifiedKey::new(chain.ders.clone(), key);
    match pair.keys_match() {
        Ok(()) => Ok(Arc::new(pair)),
        Err(_) => Err("the key does not belong to the first certificate of the chain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::key;
    use crate::x509::samples::{Authority, DAY, NOW};

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let authority = Authority::new();
        let (leaf, key) = authority.issue(NOW, NOW + DAY);
        let (_, other) = authority.issue(NOW, NOW + DAY);
        let chain = Certificates::read(&leaf).unwrap();
        assert!(pair(&chain, key::read(&key).unwrap()).is_ok());
        assert!(pair(&chain, key::read(&other).unwrap()).is_err());
        // The right certificate, in the wrong position.
        let turned = Certificates::read(&format!("{}{leaf}", authority.pem())).unwrap();
        assert!(pair(&turned, key::read(&key).unwrap()).is_err());
    }
}
