// Sockets to a server of the test: frames in pieces of any size, time-outs, and connections that
// end in the middle of a frame.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFrameReader, openFramedSocket } from '../../../../lib/io/cluster/framed-socket.ts'

function framed(frames: readonly Uint8Array[]): Buffer {
  const parts = frames.flatMap(frame => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(frame.length)
    return [length, Buffer.from(frame)]
  })
  return Buffer.concat(parts)
}

describe('createFrameReader', () => {
  test('frames are read as they were sent, in whatever pieces they arrive, through one buffer that is used again', () => {
    const bytes = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 })
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(bytes, cuts, (frames, lengths) => {
        const stream = framed(frames)
        const delivered: string[] = []
        const reader = createFrameReader({
          allocate: Buffer.alloc,
          deliver: frame => delivered.push(frame.toString('hex')),
        })
        const reused = Buffer.alloc(40)
        let at = 0
        for (let turn = 0; at < stream.length; turn += 1) {
          const taken = stream.copy(reused, 0, at, at + (lengths[turn % lengths.length] ?? 1))
          expect(reader.take(reused, taken)).toBeNull()
          reused.fill(0xff)
          at += taken
        }
        expect(delivered).toEqual(frames.map(each => Buffer.from(each).toString('hex')))
      }),
    )
  })

  test('a frame that is not admitted at once is read once it is, in order, and no memory is allocated for it before', async () => {
    const bytes = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 8 })
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 })
    const waits = fc.array(fc.boolean(), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(bytes, cuts, waits, async (frames, lengths, waitsFor) => {
        const stream = framed(frames)
        const delivered: string[] = []
        let admitted = 0
        let asked = 0
        let goOn = Promise.withResolvers<void>()
        const reader = createFrameReader({
          allocate(bytesCount) {
            admitted += 1
            expect(admitted).toBe(asked)
            return Buffer.alloc(bytesCount)
          },
          deliver: frame => delivered.push(frame.toString('hex')),
          admit() {
            asked += 1
            return (waitsFor[asked % waitsFor.length] ?? false) ? Promise.resolve() : null
          },
          goesOn(wrong) {
            expect(wrong).toBeNull()
            goOn.resolve()
          },
        })
        const reused = Buffer.alloc(40)
        let at = 0
        for (let turn = 0; at < stream.length; turn += 1) {
          const taken = stream.copy(reused, 0, at, at + (lengths[turn % lengths.length] ?? 1))
          goOn = Promise.withResolvers()
          expect(reader.take(reused, taken)).toBeNull()
          reused.fill(0xff)
          at += taken
          while (reader.isWaiting()) {
            await goOn.promise
            goOn = Promise.withResolvers()
          }
        }
        expect(delivered).toEqual(frames.map(each => Buffer.from(each).toString('hex')))
      }),
    )
  })

  test('bytes that are no frame of Kafka are reported as a TLS listener or as an impossible length', () => {
    const take = (hex: string) =>
      createFrameReader({ allocate: Buffer.alloc, deliver: () => undefined }).take(
        Buffer.from(hex, 'hex'),
        hex.length / 2,
      )
    expect(take('15030300020250')?.message).toBe('Broker requires TLS.')
    expect(take('ffffffff00')?.message).toBe('a response of -1 bytes')
    expect(take('7fffffff00')?.message).toBe('a response of 2147483647 bytes')
    const said = (text: string) => take(Buffer.from(text).toString('hex'))?.message
    expect(said('HTTP/1.1 400 Bad Request')).toBe(
      'an HTTP server answers there, and no Kafka broker; correct the port',
    )
    expect(said('SSH-2.0-OpenSSH')).toBe(
      'an SSH server answers there, and no Kafka broker; correct the port',
    )
    expect(said('220 smtp.example.com')).toBe(
      'no Kafka broker answers there, but text that begins with "220 "; correct the port',
    )
  })
})

describe('openFramedSocket', () => {
  const server = createServer()
  let accepted: Promise<Socket>

  beforeEach(async () => {
    server.listen(0, '127.0.0.1')
    accepted = once(server, 'connection').then(([socket]) => socket as Socket)
    await once(server, 'listening')
  })
  afterEach(async () => {
    ;(await accepted).destroy()
    server.close()
    await once(server, 'close')
  })
  const open = (requestTimeoutMs: number) =>
    openFramedSocket({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      tls: null,
      allocate: Buffer.alloc,
      connectTimeoutMs: 5_000,
      requestTimeoutMs,
    })

  test('requests are sent piece by piece in order, and each gets its own response', async () => {
    const socket = await open(5_000)
    const peer = await accepted
    const requests = [[Buffer.from('ab'), Buffer.alloc(300_000, 'x')], [Buffer.from('cd')]]
    const answers = requests.map(pieces => socket.exchange(pieces))
    const wanted = Buffer.concat(requests.flat())
    const received: Buffer[] = []
    for await (const chunk of peer.iterator({ destroyOnReturn: false })) {
      received.push(chunk)
      if (Buffer.concat(received).length === wanted.length) break
    }
    expect(Buffer.concat(received).equals(wanted)).toBe(true)
    peer.write(framed([Buffer.from('first'), Buffer.from('second')]))
    expect((await Promise.all(answers)).map(String)).toEqual(['first', 'second'])
    await socket.close()
    expect(socket.isConnected()).toBe(false)
    await expect(socket.exchange([Buffer.from('late')])).rejects.toThrow('Connection closed')
  })

  test('a request without a response in time breaks the connection and fails the requests behind it', async () => {
    const socket = await open(50)
    const outcomes = await Promise.allSettled([
      socket.exchange([Buffer.from('never')]),
      socket.exchange([Buffer.from('answered')]),
    ])
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { message: 'Connection closed', cause: { message: 'Request timed out' } },
      })
    }
    expect(socket.isConnected()).toBe(false)
  })

  test('a response that is not admitted leaves its bytes with the broker, and outlasts the time-out', async () => {
    const requestTimeoutMs = 2_000
    const socket = await open(requestTimeoutMs)
    const peer = await accepted
    const room = Promise.withResolvers<void>()
    const announced = Promise.withResolvers<number>()
    const large = Buffer.alloc(20_000_000, 'x')
    const answers = [
      socket.exchange([Buffer.from('large')], bytesCount => {
        announced.resolve(bytesCount)
        return room.promise
      }),
      socket.exchange([Buffer.from('behind it')]),
    ]
    peer.write(framed([large, Buffer.from('second')]))
    expect(await announced.promise).toBe(large.length)
    // A request that was sent later, on another connection, times out meanwhile.
    const otherPeer = once(server, 'connection').then(([each]) => each as Socket)
    const other = await open(requestTimeoutMs)
    await expect(other.exchange([Buffer.from('never')])).rejects.toThrow('Connection closed')
    ;(await otherPeer).destroy()
    expect(socket.isConnected()).toBe(true)
    expect(peer.writableLength).toBeGreaterThan(large.length / 2)

    room.resolve()

    const [first, second] = await Promise.all(answers)
    expect(first?.equals(large)).toBe(true)
    expect(String(second)).toBe('second')
    await socket.close()
  })

  test('a peer that disconnects in the middle of a response fails the requests in flight', async () => {
    const socket = await open(5_000)
    const answer = socket.exchange([Buffer.from('asked')])
    const peer = await accepted
    peer.end(framed([Buffer.from('whole')]).subarray(0, 6))
    await expect(answer).rejects.toThrow('Connection closed')
    await socket.close()
  })

  test('a plain connection to a TLS listener fails with a reason that names TLS', async () => {
    const socket = await open(5_000)
    const answer = socket.exchange([Buffer.from('asked')])
    const peer = await accepted
    peer.write(Buffer.from('15030300020250', 'hex'))
    await expect(answer).rejects.toMatchObject({ cause: { message: 'Broker requires TLS.' } })
  })
})
