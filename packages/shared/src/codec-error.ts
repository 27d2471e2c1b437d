/** Why a record was rejected: a metric label and the value of `dlq_reason`. */
export type CodecReason =
  | 'too_large'
  | 'not_utf8'
  | 'not_json'
  | 'missing_field'
  | 'duplicate_field'
  | 'duplicate_key'
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
 * Returned, never thrown, so that a stream of invalid entries costs no stack traces.
 * `detail` names the field and the rule, never the value: it is logged, and positions are personal data.
 */
export class CodecError {
  readonly reason: CodecReason;
  readonly detail: string;

  constructor(reason: CodecReason, detail: string) {
    this.reason = reason;
    this.detail = detail;
  }
}
