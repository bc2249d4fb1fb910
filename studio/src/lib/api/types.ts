/** What the API sends, as far as the studio looks at it. */

/** Anything that can be painted or painted from: an upload or a bundled example. */
export interface Picture {
  id: string;
  name: string;
  width: number;
  height: number;
  thumbnail_url: string;
  file_url: string;
  sha256?: string;
  notes?: string[];
}

export interface Example extends Picture {
  kind: 'content' | 'style';
  title: string;
  credit: string;
}

export type JobState = 'queued' | 'running' | 'paused' | 'done' | 'stopped' | 'cancelled' | 'failed';
export type JobKind = 'picture' | 'sweep' | 'batch';
export type Recipe = Record<string, unknown>;

export interface Losses {
  total: number;
  content?: number | null;
  style?: number | null;
  tv?: number | null;
}

export interface Job {
  id: string;
  kind: JobKind;
  name: string | null;
  state: JobState;
  parent_id: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  content: Picture | null;
  styles: Picture[];
  content_masks?: Picture[] | null;
  style_masks?: Picture[] | null;
  lock_mask?: Picture | null;
  recipe: Recipe;
  changes?: { iteration: number; values: Record<string, number> }[] | null;
  iteration: number;
  total_iterations: number | null;
  level: number;
  num_levels: number;
  size: [number, number] | null;
  losses: Losses | null;
  seconds: number | null;
  eta_seconds: number | null;
  stop_sentence: string | null;
  error: string | null;
  warnings: string[] | null;
  plan: Plan | null;
  preview_version: number | null;
  preview_url: string | null;
  result_url: string | null;
  thumbnail_url: string | null;
  num_cells?: number | null;
  num_done?: number | null;
  num_failed?: number | null;
  sheet_url?: string | null;
  report_url?: string | null;
}

export interface Plan {
  peak_bytes?: number | null;
  seconds?: number | null;
  size?: [number, number] | null;
}

export interface Progress {
  job_id: string;
  iteration: number;
  total_iterations: number;
  level: number;
  num_levels: number;
  losses: Losses;
  seconds: number;
  eta_seconds: number | null;
}

export interface LossPoint {
  iteration: number;
  total: number;
  content: number | null;
  style: number | null;
  tv: number | null;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface Check {
  recipe: Recipe;
  warnings: string[];
  plan: Plan | null;
  command: string;
  toml: string;
}

export interface Model {
  name: string;
  description: string;
  is_ready: boolean;
  size_bytes: number | null;
  download: { num_bytes: number; total_bytes: number | null; error?: string | null } | null;
}

export interface FoundInput {
  name: string;
  sha256: string | null;
  image_id: string | null;
}

/** What a painted picture says about how it was made. */
export interface Inspection {
  recipe: Recipe;
  content: FoundInput | null;
  styles: FoundInput[];
  content_masks?: FoundInput[];
  lock_mask?: FoundInput | null;
  warnings: string[];
}

export interface FieldProblem {
  field: string;
  message: string;
}
