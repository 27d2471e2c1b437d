import { expect, test } from 'vitest';
import { buildCourse } from '../src/course.ts';

test('the course has three stages, 12 gates, 20 waypoints, a speed and a protected zone', () => {
  const course = buildCourse();
  expect(course).toHaveLength(3);
  expect(course.flatMap(({ gates }) => gates)).toHaveLength(12);
  expect(course.flatMap(({ waypoints }) => waypoints)).toHaveLength(20);
  expect(course.flatMap(({ zones }) => zones.map(({ kind }) => kind))).toEqual(['protected', 'speed']);
});
