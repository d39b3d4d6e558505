// Owns what a failed TLS handshake means, by the error code of Node, for the person who has to mend
// it.

/** What is wrong and what to correct; null when the code is not one of TLS. */
export function tlsFailure(code: string): string | null {
  // ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: the part before ALERT differs with the TLS version.
  const alert = /_ALERT_(\w+)$/.exec(code)?.[1]
  const known = alert === undefined ? meanings[code] : alerts[alert]
  if (known !== undefined) return `${known} (${code})`
  return /^ERR_(SSL|TLS)_/.test(code) ? `the TLS handshake failed (${code})` : null
}

const untrusted =
  "the broker's certificate is signed by none of the authorities trusted here; name its authority " +
  'in tls.ca'
const notTls = 'the listener does not speak TLS, or not this version of it; check the port and tls'

/** OpenSSL's verification results (X509_V_ERR_…) and its own errors. */
const meanings: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the broker's certificate has expired; renew it on the broker",
  CERT_NOT_YET_VALID: "the broker's certificate is not valid yet; check both clocks",
  CERT_REVOKED: "the broker's certificate was revoked; renew it on the broker",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID:
    "the broker's certificate is for other names; use one of them in brokers and advertised.listeners",
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'tls.key is not the key of tls.cert; correct one of them',
  ERR_OSSL_BAD_DECRYPT: 'tls.key is encrypted and tls.passphrase, if set, does not open it',
}

const refused =
  'the broker does not accept our certificate; check tls.cert and tls.key, and its truststore'
const missing = 'the broker asks for a certificate of ours; set tls.cert and tls.key'

/** Alerts by which the broker refuses us (RFC 8446, section 6.2). */
const alerts: Readonly<Record<string, string>> = {
  CERTIFICATE_REQUIRED: missing,
  // Java's alert for a client without a certificate.
  BAD_CERTIFICATE: missing,
  CERTIFICATE_UNKNOWN: refused,
  UNKNOWN_CA: refused,
  CERTIFICATE_EXPIRED: 'our certificate has expired; renew tls.cert',
  PROTOCOL_VERSION: notTls,
}
