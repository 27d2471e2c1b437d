import { courseSql } from './course-sql.ts';

const [eventId = ''] = process.argv.slice(2);
console.log(courseSql(eventId));
