/** Numbers, sizes and times in the page's language. */

export function duration(seconds: number | null | undefined, language: string): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '';
  const whole = Math.max(0, Math.round(seconds));
  const unit = (value: number, name: string) =>
    new Intl.NumberFormat(language, { style: 'unit', unit: name, unitDisplay: 'short' }).format(value);
  if (whole < 60) return unit(whole, 'second');
  if (whole < 3600)
    return `${unit(Math.floor(whole / 60), 'minute')}${whole < 600 ? ` ${unit(whole % 60, 'second')}` : ''}`;
  return `${unit(Math.floor(whole / 3600), 'hour')} ${unit(Math.floor((whole % 3600) / 60), 'minute')}`;
}

export function bytes(count: number | null | undefined, language: string): string {
  if (!count) return '';
  const [value, unit] =
    count >= 1e9
      ? [count / 1e9, 'gigabyte']
      : count >= 1e6
        ? [count / 1e6, 'megabyte']
        : [count / 1e3, 'kilobyte'];
  const digits = value < 10 ? 1 : 0;
  return new Intl.NumberFormat(language, { style: 'unit', unit, maximumFractionDigits: digits }).format(
    value,
  );
}

export function when(time: string | null | undefined, language: string): string {
  if (!time) return '';
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  const day: Intl.DateTimeFormatOptions = isToday ? {} : { day: 'numeric', month: 'short' };
  return new Intl.DateTimeFormat(language, { ...day, hour: '2-digit', minute: '2-digit' }).format(date);
}

export function number(value: number | null | undefined, language: string, digits = 3): string {
  if (value === null || value === undefined) return '';
  return new Intl.NumberFormat(language, { maximumSignificantDigits: digits }).format(value);
}
