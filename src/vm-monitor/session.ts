import type { WebSocket } from 'ws';
import { abortedBy } from '../core/abort.ts';
import { monotonicMs, raceAbort, withDeadline } from '../core/clock.ts';
import { ComputeError, inline } from '../core/errors.ts';
import { Queue } from '../core/queue.ts';
import { AgentLink } from './agent-link.ts';
import { MemoryWatch, checkCgroup } from './cgroup.ts';
import { inMib, mustAskForMemory } from './decisions.ts';
import { type AgentMessage, InvalidMessage, OwnIds, negotiate, parseAgentMessage } from './protocol.ts';
import { Scaling, type ScalingMessage, type ScalingOptions } from './scaling.ts';

const setUpMs = 4000;
/** The agent's worker fails if it gets a request before it has finished its part of the handshake. */
const holdBackMs = 1000;
/** Limit of requests at the same time; a correct agent sends fewer. */
const maxWaiting = 16;

/** One connection of the agent. Each has its own thresholds, samples and ids. */
export class Session {
  readonly #options: ScalingOptions;
  readonly #link: AgentLink;
  readonly #watch: MemoryWatch;
  readonly #scaling: Scaling;
  readonly #ids = new OwnIds();
  readonly #over = new AbortController();
  #lastRequestMs = -Infinity;
  #mayAskMs = Infinity;
  readonly #work = new Queue(1);

  constructor(socket: WebSocket, options: ScalingOptions) {
    this.#options = options;
    this.#link = new AgentLink(socket, options.log);
    this.#watch = new MemoryWatch(options.cgroup, options.log);
    this.#scaling = new Scaling(options, this.#watch);
    void this.#link.closed.then(() => this.#over.abort(over('the agent closed the connection')));
  }

  /** Serves the agent until the connection ends.
   *  @throws ComputeError when the connection could not be set up */
  async run(): Promise<void> {
    const { signal } = this.#over;
    let watching: Promise<void> = Promise.resolve();
    try {
      await withDeadline("setting up the agent's connection", setUpMs, signal, async (limited) => {
        this.#shakeHands(await this.#link.hello());
        await checkCgroup(this.#options.cgroup);
        await this.#scaling.begin(limited);
      });
      watching = this.#watch.run((outcome) => this.#onTick(outcome), signal);
      this.#link.listen((text) => this.#receive(text));
      await raceAbort(this.#link.closed, signal);
    } catch (error) {
      if (signal.aborted) return;
      await this.#link.close(1011, inline(error));
      throw error;
    } finally {
      await this.#link.close(1000, inline(signal.reason ?? ''));
      await Promise.all([watching, this.#work.idle()]);
    }
  }

  /** Ends the connection: after the current message, or immediately when there is none. */
  end(reason: string): void {
    const end = (): void => this.#over.abort(over(reason));
    if (this.#work.size === 0) end();
    else void this.#work.idle().then(end);
  }

  #shakeHands(text: string): void {
    const answer = negotiate(text);
    if ('unreadable' in answer)
      throw new ComputeError('bad_request', `handshake with the agent: ${answer.unreadable}`);
    this.#link.answerHello(answer);
    if ('error' in answer) throw new ComputeError('bad_request', `handshake with the agent: ${answer.error}`);
    this.#mayAskMs = monotonicMs() + holdBackMs;
  }

  #receive(text: string): void {
    let message: AgentMessage;
    try {
      message = parseAgentMessage(text);
    } catch (error) {
      if (error instanceof InvalidMessage) return this.#onInvalid(error);
      throw error;
    }
    this.#mayAskMs = Math.min(this.#mayAskMs, monotonicMs());
    switch (message.type) {
      case 'HealthCheck':
        this.#count('health_check', 'ok');
        return this.#link.send({ type: 'HealthCheck', id: message.id });
      case 'InvalidMessage':
      case 'InternalError':
        return this.#options.log.warn(
          `the agent sent ${message.type} for id ${message.id}: ${message.error}`,
        );
      case 'UpscaleNotification':
      case 'DownscaleRequest':
        return this.#enqueue(message);
    }
  }

  #onInvalid({ type, id, message }: InvalidMessage): void {
    this.#options.log.warn(`the agent sent an invalid message: ${message}`);
    this.#count('unknown', 'invalid');
    // An error message is not answered with an error message: this could continue for ever.
    if (type === 'InvalidMessage' || type === 'InternalError') return;
    this.#link.send({ type: 'InvalidMessage', error: message, id });
  }

  /** Changes of size run one after the other; health checks are answered meanwhile. */
  #enqueue(message: ScalingMessage): void {
    if (this.#work.size >= maxWaiting) {
      const error = 'too many changes of size are waiting';
      return this.#link.send({ type: 'InternalError', error, id: message.id });
    }
    const { signal } = this.#over;
    const work = async (): Promise<void> => this.#link.send(await this.#scaling.answer(message, signal));
    void this.#work.add(work, signal).catch((error: unknown) => {
      if (!abortedBy(error, signal)) throw error;
    });
  }

  #onTick(outcome: 'sampled' | 'failed'): void {
    const { metrics, log } = this.#options;
    if (outcome === 'failed') return metrics.inc('compute_ctl_vm_monitor_failed_samples_total');
    const { averageBytes } = this.#watch.usage();
    metrics.set('compute_ctl_vm_monitor_memory_use_bytes', averageBytes);
    const nowMs = monotonicMs();
    const threshold = this.#scaling.thresholdBytes;
    if (nowMs < this.#mayAskMs) return;
    if (!mustAskForMemory(averageBytes, threshold, nowMs - this.#lastRequestMs)) return;
    this.#lastRequestMs = nowMs;
    log.info(`requesting memory: ${inMib(averageBytes)} in use, the threshold is ${inMib(threshold)}`);
    metrics.inc('compute_ctl_vm_monitor_upscale_requests_total');
    this.#link.send({ type: 'UpscaleRequest', id: this.#ids.next() });
  }

  #count(type: string, outcome: string): void {
    this.#options.metrics.inc('compute_ctl_vm_monitor_requests_total', { type, outcome });
  }
}

const over = (reason: string): ComputeError => new ComputeError('terminated', reason);
