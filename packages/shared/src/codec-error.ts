/** Why a record was refused: one word per kind, fit for a metric's label and for `dlq_reason`. */
export type CodecReason =
  | 'too_large'
  | 'not_utf8'
  | 'not_json'
  | 'missing_field'
  | 'duplicate_field'
  | 'wrong_type'
  | 'not_finite'
  | 'out_of_range'
  | 'bad_timestamp'
  | 'bad_device_id'
  | 'bad_codec'
  | 'bad_key'
  | 'bad_text'
  | 'bad_sentinel'
  | 'too_many_attributes';

/**
 * A refusal, returned and never thrown: a stream of garbage must cost no stack traces.
 * `detail` names the field and the rule, never the value: it goes into logs and dead letters, and positions are
 * personal data.
 */
export class CodecError {
  readonly reason: CodecReason;
  readonly detail: string;

  constructor(reason: CodecReason, detail: string) {
    this.reason = reason;
    this.detail = detail;
  }
}
