// Owns the form of a bootstrap address: `host:port`, an IPv6 address in brackets. Does not own
// which broker is asked (io/cluster/brokers.ts).

const PORT_MAX = 65_535
/** A host name has at most 253 characters (RFC 1035); the rest is for what was put around it. */
const CHARACTERS_MAX = 512
const FORM = /^(?:\[([0-9a-fA-F.]*:[0-9a-fA-F:.]*(?:%[\w.-]+)?)\]|([^\s,:/@?#[\]]+)):(\d{1,5})$/
const SCHEME = /^([a-zA-Z][\w+.-]*):\/\//

/** The accepted form of a wrong bootstrap address, with what to write; null for a right one. */
export function brokerProblem(broker: string): string | null {
  if (broker.length > CHARACTERS_MAX) return 'host:port'
  const [scheme = '', name] = SCHEME.exec(broker) ?? []
  const rest = broker
    .slice(scheme.length)
    .replace(/^.*@/, '')
    .replace(/[/?#].*$/, '')
  const advice = FORM.test(rest) && isPort(rest) ? `, here: ${rest}` : ''
  if (name !== undefined) return `host:port without ${name}://${advice}${securityOf(name)}`
  if (broker.includes('@')) return `host:port without a user${advice}; credentials go into sasl`
  if (FORM.test(broker) && isPort(broker)) return null
  const isBareIpv6 = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(broker)
  return isBareIpv6 ? 'host:port with an IPv6 address in brackets: [::1]:9092' : 'host:port'
}

/** Host without brackets, and port, of an address without a problem. */
export function parseBroker(broker: string): { readonly host: string; readonly port: number } {
  const [, ipv6, name, port] = FORM.exec(broker) ?? []
  return { host: ipv6 ?? name ?? broker, port: Number(port) }
}

/** `[::1]:9092`, `b1:9092`: the form in which a broker is written and named. */
export function brokerText({ host, port }: { readonly host: string; readonly port: number }) {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function isPort(broker: string): boolean {
  const { port } = parseBroker(broker)
  return port >= 1 && port <= PORT_MAX
}

/** What the name of a listener says about its protocol (SecurityProtocol in Kafka). */
function securityOf(scheme: string): string {
  switch (scheme.toUpperCase()) {
    case 'SSL':
      return '; set tls for it'
    case 'SASL_PLAINTEXT':
      return '; set sasl for it'
    case 'SASL_SSL':
      return '; set tls and sasl for it'
    default:
      return ''
  }
}
