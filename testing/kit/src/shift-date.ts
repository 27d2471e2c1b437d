// Loaded into a process before its own code: shifts its clock.
const shiftMs = Number(process.env['SHIFT_DATE_MS']);
const now = Date.now.bind(Date);
Date.now = () => now() + shiftMs;
